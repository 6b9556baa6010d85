use hull_plan::{RestartMode, RestartPolicy};

use super::*;
use crate::container::state::Status;
use crate::{ErrorKind, ExecConfig, RemoveOptions, StopOptions};

fn with_policy(mode: RestartMode, maximum_retry_count: u32) -> ContainerConfig {
    let mut config = config();
    config.host.restart_policy = RestartPolicy { mode, maximum_retry_count };
    config
}

async fn until(engine: &Engine, name: &str, status: Status) -> u64 {
    for _ in 0..1000 {
        let inspect = engine.inspect(name, false).await.unwrap();
        if inspect.state.status == status {
            return inspect.restart_count;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{name} is never {status:?}");
}

#[tokio::test]
async fn a_failure_is_restarted_until_the_count_is_reached() {
    let world = World::new();
    let engine = world.open().await;
    world.fake.script().exit = Some(3);
    let mut events = listen(&engine);
    create(&engine, "web", with_policy(RestartMode::OnFailure, 2)).await;
    engine.start("web").await.unwrap();
    assert_eq!(until(&engine, "web", Status::Exited).await, 2);
    engine.remove("web", RemoveOptions::default()).await.unwrap();
    assert_eq!(
        actions(&mut events, "destroy").await,
        ["create", "start", "die 3", "start", "die 3", "start", "die 3", "destroy"]
    );
}

#[tokio::test]
async fn one_that_waits_is_up_and_can_be_stopped_killed_and_removed() {
    let world = World::new();
    let engine = world.open().await;
    world.fake.script().exit = Some(1);
    let id = create(&engine, "web", with_policy(RestartMode::Always, 0)).await;
    for name in ["stop", "kill", "remove"] {
        engine.start(&id).await.unwrap();
        until(&engine, "web", Status::Restarting).await;
        assert_eq!(engine.start(&id).await.unwrap_err().kind(), ErrorKind::NotModified);
        let command = ExecConfig { cmd: vec!["ls".into()], ..ExecConfig::default() };
        let error = engine.exec_create(&id, command).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().ends_with("is restarting, wait until the container is running"));
        until(&engine, "web", Status::Restarting).await;
        match name {
            "stop" => engine.stop(&id, StopOptions::default()).await.unwrap(),
            "kill" => engine.kill(&id, None).await.unwrap(),
            _ => {
                let force = RemoveOptions { force: true, volumes: false };
                return engine.remove(&id, force).await.unwrap();
            }
        }
        until(&engine, "web", Status::Exited).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        until(&engine, "web", Status::Exited).await;
    }
}

#[tokio::test]
async fn who_was_stopped_is_remembered_by_the_next_engine() {
    let world = World::new();
    let engine = world.open().await;
    for (name, mode) in [
        ("always", RestartMode::Always),
        ("stopped", RestartMode::UnlessStopped),
        ("ended", RestartMode::UnlessStopped),
        ("failed", RestartMode::OnFailure),
        ("fine", RestartMode::OnFailure),
        ("once", RestartMode::No),
    ] {
        create(&engine, name, with_policy(mode, 0)).await;
        engine.start(name).await.unwrap();
    }
    create(&engine, "created", with_policy(RestartMode::Always, 0)).await;
    for name in ["always", "stopped"] {
        engine.stop(name, StopOptions::default()).await.unwrap();
    }
    engine.shut_down();
    engine.stop("ended", StopOptions::default()).await.unwrap();
    let ids: Vec<_> = engine.list(crate::ListOptions::default()).await.unwrap();
    drop(engine);
    for container in ids {
        let code = i32::from(container.name == "failed");
        world.fake.machine(&world.dir(&container.id)).end(code);
    }
    let engine = world.open().await;
    for name in ["always", "ended", "failed"] {
        assert_eq!(until(&engine, name, Status::Running).await, 0);
    }
    for name in ["stopped", "fine", "once"] {
        until(&engine, name, Status::Exited).await;
    }
    until(&engine, "created", Status::Created).await;
}
