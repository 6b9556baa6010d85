use std::fs;

use hull_supervisor::Status as Supervised;

use super::*;
use crate::container::state::Status;
use crate::{ErrorKind, ListOptions, RemoveOptions};

#[tokio::test]
async fn a_running_container_outlives_the_engine() {
    let world = World::new();
    let engine = world.open().await;
    let id = run(&engine, "web").await;
    drop(engine);
    let engine = world.open().await;
    let state = engine.inspect("web", false).await.unwrap().state;
    assert_eq!((state.status, state.pid), (Status::Running, 42));
    let mut events = listen(&engine);
    world.fake.machine(&world.dir(&id)).end(4);
    assert_eq!(wait(&engine, "web").await, 4);
    assert_eq!(actions(&mut events, "die").await, ["die 4"]);
}

#[tokio::test]
async fn an_end_that_nobody_saw_is_found() {
    let world = World::new();
    let engine = world.open().await;
    let orderly = run(&engine, "orderly").await;
    let killed = run(&engine, "killed").await;
    drop(engine);
    world.fake.machine(&world.dir(&orderly)).end(4);
    world.fake.machine(&world.dir(&killed)).vanish();
    for _ in 0..2 {
        let engine = world.open().await;
        let state = engine.inspect("orderly", false).await.unwrap().state;
        assert_eq!((state.status, state.exit_code), (Status::Exited, 4));
        assert!(state.error.is_empty() && state.pid == 0);
        let state = engine.inspect("killed", false).await.unwrap().state;
        assert_eq!((state.status, state.exit_code), (Status::Exited, 137));
        assert_eq!(state.error, "supervisor died");
        assert!(state.finished_at.is_some());
    }
}

#[tokio::test]
async fn a_supervisor_that_is_killed_is_noticed_at_once() {
    let world = World::new();
    let engine = world.open().await;
    let id = run(&engine, "").await;
    world.fake.machine(&world.dir(&id)).vanish();
    assert_eq!(wait(&engine, &id).await, 137);
    let state = engine.inspect(&id, false).await.unwrap().state;
    assert_eq!((state.status, state.error.as_str()), (Status::Exited, "supervisor died"));
    let recorded = hull_supervisor::State::read(&world.dir(&id)).unwrap().unwrap();
    assert_eq!(recorded.exit.unwrap().code, 137);
    engine.start(&id).await.unwrap();
}

#[tokio::test]
async fn auto_remove_is_kept_across_engines() {
    let world = World::new();
    let engine = world.open().await;
    let mut config = config();
    config.host.auto_remove = true;
    let ended = create(&engine, "ended", config.clone()).await;
    let runs = create(&engine, "runs", config.clone()).await;
    let waits = create(&engine, "waits", config).await;
    engine.start(&ended).await.unwrap();
    engine.start(&runs).await.unwrap();
    drop(engine);
    world.fake.machine(&world.dir(&ended)).vanish();
    let engine = world.open().await;
    assert!(!world.dir(&ended).exists());
    assert_eq!(engine.inspect(&ended, false).await.unwrap_err().kind(), ErrorKind::NotFound);
    let waiter = engine.wait(&runs, WaitCondition::Removed).await.unwrap();
    world.fake.machine(&world.dir(&runs)).end(0);
    soon(waiter.finished()).await.unwrap();
    assert!(!world.dir(&runs).exists());
    // It was never started: its client may still be about to.
    engine.start(&waits).await.unwrap();
}

#[tokio::test]
async fn what_was_half_made_or_half_removed_goes() {
    let world = World::new();
    drop(world.open().await);
    let tmp = world.root.path().join("tmp/engine");
    fs::create_dir(tmp.join("create-x")).unwrap();
    fs::write(tmp.join("create-x/config.json"), b"{").unwrap();
    fs::create_dir(tmp.join("remove-y")).unwrap();
    fs::write(tmp.join("file"), b"").unwrap();
    // A power cut left a name without content.
    let hollow = world.dir(&"c".repeat(64));
    fs::create_dir(&hollow).unwrap();
    fs::write(hollow.join("config.json"), b"").unwrap();
    world.open().await;
    assert_eq!(world.leftovers(), 0);
    assert!(!hollow.exists());
}

#[tokio::test]
async fn a_damaged_container_does_not_hide_the_others() {
    let world = World::new();
    let engine = world.open().await;
    create(&engine, "good", config()).await;
    let bad = create(&engine, "bad", config()).await;
    drop(engine);
    let file = world.dir(&bad).join("config.json");
    fs::write(&file, b"{ not json").unwrap();
    let engine = world.open().await;
    engine.inspect("good", false).await.unwrap();
    engine.inspect("bad", false).await.unwrap_err();
    assert_eq!(engine.inspect(&bad, false).await.unwrap().state.status, Status::Dead);
    assert!(file.exists());
}

#[tokio::test]
async fn a_start_that_was_broken_off_can_be_done_again() {
    let world = World::new();
    world.fake.script().exit = Some(3);
    let engine = world.open().await;
    let id = run(&engine, "").await;
    wait(&engine, &id).await;
    drop(engine);
    // Killed after the last run's state was put aside, with orders half written.
    let dir = world.dir(&id);
    fs::rename(dir.join("state.json"), dir.join("previous.json")).unwrap();
    fs::write(dir.join("launch.json"), b"{").unwrap();
    let engine = world.open().await;
    let state = engine.inspect(&id, false).await.unwrap().state;
    assert_eq!((state.status, state.exit_code), (Status::Exited, 3));
    engine.start(&id).await.unwrap();
}

#[tokio::test]
async fn of_an_interrupted_fork_those_stay_that_run() {
    let world = World::new();
    let engine = world.open().await;
    let mut dirs = Vec::new();
    for name in ["never", "begun", "runs"] {
        let dir = world.dir(&create(&engine, name, config()).await);
        fs::write(dir.join("unborn"), "").unwrap();
        dirs.push(dir);
    }
    drop(engine);
    world.fake.plant(&dirs[1], Supervised::Starting);
    world.fake.plant(&dirs[2], Supervised::Running);
    let engine = world.open().await;
    assert!(!dirs[0].exists());
    assert!(engine.inspect("never", false).await.is_err());
    let begin = std::time::Instant::now();
    // It has been given up.
    while engine.inspect("begun", false).await.is_ok() {
        assert!(begin.elapsed() < std::time::Duration::from_secs(30));
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let state = engine.inspect("runs", false).await.unwrap().state;
    assert_eq!(state.status, Status::Running);
    assert!(!dirs[2].join("unborn").exists());
}

#[tokio::test]
async fn a_supervisor_without_an_engine_is_adopted_or_ended() {
    let world = World::new();
    let engine = world.open().await;
    let goes_on = create(&engine, "goes-on", config()).await;
    let stuck = create(&engine, "stuck", config()).await;
    drop(engine);
    let machine = world.fake.plant(&world.dir(&goes_on), Supervised::Starting);
    world.fake.plant(&world.dir(&stuck), Supervised::Starting);
    let engine = world.open().await;
    machine.set(Supervised::Running, None);
    // Waits for the adoption.
    let error = engine.start("goes-on").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotModified);
    // Given up after a while, and started anew.
    engine.start("stuck").await.unwrap();
    assert_eq!(world.fake.running(), 2);
    let force = RemoveOptions { force: true, volumes: true };
    engine.remove("goes-on", force).await.unwrap();
    engine.remove("stuck", force).await.unwrap();
    assert_eq!(world.fake.running(), 0);
}

#[tokio::test]
async fn a_damaged_container_is_dead_and_can_be_removed() {
    let world = World::new();
    let engine = world.open().await;
    let sound = create(&engine, "sound", config()).await;
    let damaged = create(&engine, "damaged", config()).await;
    let newer = create(&engine, "newer", config()).await;
    drop(engine);
    fs::write(world.dir(&damaged).join("config.json"), "{\"version\": 1, nonsense").unwrap();
    let path = world.dir(&newer).join("config.json");
    let record = fs::read_to_string(&path).unwrap();
    fs::write(&path, record.replace("\"version\": 1", "\"version\": 99")).unwrap();
    fs::create_dir(world.dir("not-a-container")).unwrap();
    fs::write(world.dir("not-a-container").join("config.json"), "x").unwrap();

    let engine = world.open().await;
    let all = ListOptions { all: true, ..ListOptions::default() };
    assert_eq!(engine.list(all).await.unwrap().len(), 3);
    for (id, why) in [(&damaged, "is damaged"), (&newer, "written by a newer Hull")] {
        let inspect = engine.inspect(&id[..20], false).await.unwrap();
        assert_eq!((inspect.state.status, inspect.name.as_str()), (Status::Dead, &id[..12]));
        assert!(inspect.state.error.contains(why), "{}", inspect.state.error);
        let error = engine.start(id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.hint().unwrap(), format!("remove it with `hull rm {}`", &id[..12]));
        assert!(engine.rename(id, "other").await.is_err());
        engine.remove(id, RemoveOptions::default()).await.unwrap();
        assert!(!world.dir(id).exists());
    }
    engine.start(&sound).await.unwrap();
    assert!(world.dir("not-a-container").exists());
}
