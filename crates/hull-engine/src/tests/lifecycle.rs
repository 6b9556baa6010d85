use hull_supervisor::{Failure, FailureCode};

use super::*;
use crate::container::state::Status;
use crate::{ErrorKind, RemoveOptions, StopOptions};

const FORCE: RemoveOptions = RemoveOptions { force: true, volumes: false };

fn auto_remove() -> ContainerConfig {
    let mut config = config();
    config.host.auto_remove = true;
    config
}

fn no_program() -> Failure {
    let message = "exec: \"nope\": executable file not found in $PATH";
    Failure::new(FailureCode::NoProgram, message)
}

#[tokio::test]
async fn a_container_runs_and_ends() {
    let world = World::new();
    let engine = world.open().await;
    let mut events = listen(&engine);
    let id = create(&engine, "web", config()).await;
    let created = engine.inspect("web", true).await.unwrap();
    assert_eq!(created.state.status, Status::Created);
    assert_eq!((created.path.as_str(), created.args.len()), ("sh", 2));
    assert_eq!(created.config.env.last().unwrap(), "FROM_IMAGE=1");
    let waiter = engine.wait(&id[..6], WaitCondition::NextExit).await.unwrap();
    engine.start("/web").await.unwrap();
    let running = engine.inspect(&id, false).await.unwrap();
    assert_eq!((running.state.status, running.state.pid), (Status::Running, 42));
    assert_eq!(engine.start(&id).await.unwrap_err().kind(), ErrorKind::NotModified);
    world.fake.machine(&world.dir(&id)).end(3);
    assert_eq!(soon(waiter.finished()).await.unwrap().exit_code, 3);
    let ended = engine.inspect(&id, false).await.unwrap();
    assert_eq!((ended.state.status, ended.state.exit_code), (Status::Exited, 3));
    assert!(ended.state.finished_at.is_some());
    engine.start(&id).await.unwrap();
    engine.remove(&id, FORCE).await.unwrap();
    assert_eq!(
        actions(&mut events, "destroy").await,
        ["create", "start", "die 3", "start", "kill 9", "die 137", "destroy"]
    );
    assert!(!world.dir(&id).exists());
    assert_eq!(world.leftovers(), 0);
    assert_eq!(
        engine.inspect("web", false).await.unwrap_err().to_string(),
        "No such container: web"
    );
}

#[tokio::test]
async fn names_are_unique_and_come_free() {
    let world = World::new();
    let engine = world.open().await;
    let id = create(&engine, "web", config()).await;
    let options = CreateOptions { name: Some("/web".into()), config: config() };
    let error = engine.create_from(image(), options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        format!(
            "Conflict. The container name \"/web\" is already in use by container \"{id}\". You \
             have to remove (or rename) that container to be able to reuse that name."
        )
    );
    engine.rename("web", "db").await.unwrap();
    let other = create(&engine, "web", config()).await;
    let error = engine.rename("web", "db").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().starts_with("Error when allocating new name: Conflict."));
    drop(engine);
    let engine = world.open().await;
    assert_eq!(engine.inspect("db", false).await.unwrap().id, id);
    assert_eq!(engine.inspect("web", false).await.unwrap().id, other);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_planned_leaves_nothing() {
    let world = World::new();
    let engine = world.open().await;
    let options = CreateOptions {
        name: Some("web".into()),
        config: ContainerConfig { cmd: None, ..config() },
    };
    let error = engine.create_from(image(), options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidParameter);
    assert_eq!(error.to_string().to_lowercase(), "no command specified");
    create(&engine, "web", config()).await;
    assert_eq!(world.leftovers(), 0);
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_127() {
    let world = World::new();
    world.fake.script().refuse = Some(no_program());
    let engine = world.open().await;
    let id = create(&engine, "", config()).await;
    for _ in 0..2 {
        let error = engine.start(&id).await.unwrap_err();
        assert_eq!(error.exit_code(), Some(127));
        assert_eq!(
            error.to_string(),
            "failed to create task for container: failed to create shim task: OCI runtime create \
             failed: runc create failed: unable to start container process: exec: \"nope\": \
             executable file not found in $PATH: unknown"
        );
        let state = engine.inspect(&id, false).await.unwrap().state;
        assert_eq!((state.status, state.exit_code), (Status::Created, 127));
        assert_eq!(state.error, error.to_string());
    }
    world.fake.script().refuse = None;
    engine.start(&id).await.unwrap();
    let state = engine.inspect(&id, false).await.unwrap().state;
    assert_eq!((state.exit_code, state.error.as_str()), (0, ""));
}

#[tokio::test]
async fn a_failed_start_after_a_good_one_leaves_an_exited_container() {
    let world = World::new();
    world.fake.script().exit = Some(0);
    let engine = world.open().await;
    let id = run(&engine, "").await;
    wait(&engine, &id).await;
    world.fake.script().refuse = Some(no_program());
    engine.start(&id).await.unwrap_err();
    engine.start(&id).await.unwrap_err();
    let mut engine = Some(engine);
    for _ in 0..2 {
        let engine = match engine.take() {
            Some(engine) => engine,
            None => world.open().await,
        };
        let state = engine.inspect(&id, false).await.unwrap().state;
        assert_eq!((state.status, state.exit_code), (Status::Exited, 127));
        assert!(state.started_at.is_some());
    }
}

#[tokio::test]
async fn a_missing_root_disk_is_128_and_named() {
    let world = World::new();
    std::fs::remove_file(world.root.path().join("disks/disk.vmdk")).unwrap();
    let engine = world.open().await;
    let id = create(&engine, "", config()).await;
    let error = engine.start(&id).await.unwrap_err();
    assert!(error.to_string().contains("disk.vmdk"), "{error}");
    let mut engine = Some(engine);
    for _ in 0..2 {
        let engine = match engine.take() {
            Some(engine) => engine,
            None => world.open().await,
        };
        let state = engine.inspect(&id, false).await.unwrap().state;
        assert_eq!((state.status, state.exit_code), (Status::Created, 128));
    }
}

#[tokio::test]
async fn auto_remove_follows_the_end_and_a_failed_start() {
    let world = World::new();
    let engine = world.open().await;
    for refuse in [None, Some(no_program())] {
        let fails = refuse.is_some();
        world.fake.script().refuse = refuse;
        world.fake.script().exit = Some(7);
        let id = create(&engine, "web", auto_remove()).await;
        let waiter = engine.wait(&id, WaitCondition::Removed).await.unwrap();
        assert_eq!(engine.start(&id).await.is_err(), fails);
        let status = soon(waiter.finished()).await.unwrap();
        assert_eq!(status.exit_code, if fails { 127 } else { 7 });
        assert!(!world.dir(&id).exists());
    }
}

#[tokio::test]
async fn a_restart_does_not_remove() {
    let world = World::new();
    let engine = world.open().await;
    let mut events = listen(&engine);
    let id = create(&engine, "", auto_remove()).await;
    engine.start(&id).await.unwrap();
    engine.restart(&id, StopOptions::default()).await.unwrap();
    assert_eq!(
        actions(&mut events, "restart").await,
        ["create", "start", "kill 15", "die 143", "stop", "start", "restart"]
    );
    assert!(engine.inspect(&id, false).await.unwrap().state.status.is_running());
}

#[tokio::test]
async fn stop_kills_what_does_not_end() {
    let world = World::new();
    world.fake.script().stubborn = true;
    let engine = world.open().await;
    let mut events = listen(&engine);
    let id = run(&engine, "").await;
    let options = StopOptions { signal: Some("INT".into()), timeout: Some(1) };
    let begin = std::time::Instant::now();
    engine.stop(&id, options).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert_eq!(
        actions(&mut events, "stop").await,
        ["create", "start", "kill 2", "kill 9", "die 137", "stop"]
    );
    let again = engine.stop(&id, StopOptions::default()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotModified);
}

#[tokio::test]
async fn a_guest_that_does_nothing_loses_its_machine() {
    let world = World::new();
    world.fake.script().deaf = true;
    let engine = world.open().await;
    let id = run(&engine, "").await;
    engine.kill(&id, None).await.unwrap();
    let state = engine.inspect(&id, false).await.unwrap().state;
    assert_eq!((state.status, state.exit_code), (Status::Exited, 137));
}

#[tokio::test]
async fn kill_says_what_is_wrong() {
    let world = World::new();
    let engine = world.open().await;
    let id = create(&engine, "web", config()).await;
    for (container, signal, kind, message) in [
        (
            "web",
            None,
            ErrorKind::Conflict,
            format!("cannot kill container: web: container {id} is not running"),
        ),
        (
            "web",
            Some("TERM"),
            ErrorKind::Conflict,
            format!("cannot kill container: web: container {id} is not running"),
        ),
        (
            "nope",
            None,
            ErrorKind::NotFound,
            "cannot kill container: nope: No such container: nope".into(),
        ),
        (
            "web",
            Some("FOO"),
            ErrorKind::InvalidParameter,
            "cannot kill container: web: invalid signal: FOO".into(),
        ),
    ] {
        let error = engine.kill(container, signal).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (kind, message));
    }
}

#[tokio::test]
async fn a_running_container_is_not_removed_without_force() {
    let world = World::new();
    let engine = world.open().await;
    let id = run(&engine, "web").await;
    let error = engine.remove("web", RemoveOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        "cannot remove container \"web\": container is running: stop the container before \
         removing or force remove"
    );
    engine.pause("web").await.unwrap();
    assert_eq!(engine.inspect(&id, false).await.unwrap().state.status, Status::Paused);
    let error = engine.remove("web", RemoveOptions::default()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot remove container \"web\": container is paused and must be unpaused first"
    );
    engine.unpause("web").await.unwrap();
    engine.remove("web", FORCE).await.unwrap();
    assert_eq!(world.fake.running(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_run_and_go_at_once() {
    let world = World::new();
    world.fake.script().exit = Some(0);
    let engine = world.open().await;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move {
                let id = create(&engine, "", auto_remove()).await;
                let waiter = engine.wait(&id, WaitCondition::Removed).await.unwrap();
                engine.start(&id).await.unwrap();
                soon(waiter.finished()).await.unwrap().exit_code
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 0);
    }
    let all = std::fs::read_dir(world.root.path().join("containers")).unwrap();
    assert_eq!(all.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_removal_and_one_start_win() {
    let world = World::new();
    let engine = world.open().await;
    let id = create(&engine, "", config()).await;
    let (first, second) = tokio::join!(engine.start(&id), engine.start(&id));
    assert_eq!(first.is_ok() as u8 + second.is_ok() as u8, 1);
    let (first, second) = tokio::join!(engine.remove(&id, FORCE), engine.remove(&id, FORCE));
    let won = [first, second].into_iter().filter(Result::is_ok).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn the_launch_says_what_was_asked_for() {
    let world = World::new();
    let engine = world.open().await;
    let mut config = config();
    config.open_stdin = true;
    config.stop_signal = Some("SIGUSR1".into());
    config.host.memory = 64 << 20;
    let id = create(&engine, "", config).await;
    engine.start(&id).await.unwrap();
    let launch = world.fake.last_launch.lock().unwrap().clone().unwrap();
    let on_disk = std::fs::read(world.dir(&id).join("launch.json")).unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&on_disk).unwrap(), launch);
    assert_eq!(launch["container"], id.as_str());
    // The limit is the container's own; its machine is the usual one.
    assert_eq!(launch["machine"]["memory"], 1 << 30);
    assert_eq!(launch["stop"]["signal"], 10);
    assert_eq!(launch["stdio"]["open_stdin"], true);
    assert_eq!(launch["log"]["driver"], "json-file");
    let scratch = world.dir(&id).join("scratch.ext4");
    assert_eq!(launch["disks"]["scratch"], scratch.to_str().unwrap());
}

#[tokio::test]
async fn process_isolation_says_that_it_is_not_there() {
    let world = World::new();
    let engine = world.open().await;
    let mut config = config();
    config.host.isolation = "process".into();
    let options = CreateOptions { name: None, config };
    let error = engine.create(options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotImplemented);
}

/// Servers run operations on any of their threads.
#[expect(dead_code, reason = "it is enough that it compiles")]
fn operations_move_between_threads(engine: &Engine) {
    fn check(_: impl Send) {}
    check(Engine::open(Settings::new("", "", "")));
    check(engine.attach("", crate::AttachOptions::default()));
    check(engine.create(CreateOptions::default()));
    check(engine.doctor());
    check(engine.exec_create("", crate::ExecConfig::default()));
    check(engine.exec_resize("", 0, 0));
    check(engine.exec_start("", crate::ExecStartOptions::default()));
    check(engine.image_prune(&crate::Filters::default()));
    check(engine.image_remove("", crate::image::ImageRemoveOptions::default()));
    check(engine.info());
    check(engine.kill("", None));
    check(engine.load(std::io::Cursor::new(Vec::new())));
    check(engine.logs("", crate::LogOptions::default()));
    check(engine.pull("", crate::image::PullOptions::default(), |_| {}));
    check(engine.remove("", FORCE));
    check(engine.restart("", StopOptions::default()));
    check(engine.set_kernel(None));
    check(engine.start(""));
    check(engine.stop("", StopOptions::default()));
    check(engine.wait("", WaitCondition::Removed));
}
