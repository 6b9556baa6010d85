use bytes::Bytes;
use hull_supervisor::{Failure, FailureCode};

use super::*;
use crate::{ErrorKind, ExecConfig, ExecStartOptions};

fn command() -> ExecConfig {
    ExecConfig {
        cmd: vec!["ls".into(), "-l".into()],
        env: vec!["FROM_IMAGE=2".into(), "NEW=3".into()],
        attach_stdin: true,
        attach_stdout: true,
        attach_stderr: true,
        ..ExecConfig::default()
    }
}

#[tokio::test]
async fn an_exec_runs_and_is_remembered() {
    let world = World::new();
    let engine = world.open().await;
    let mut of_container = config();
    of_container.user = "www".into();
    of_container.working_dir = "/srv".into();
    let id = create(&engine, "", of_container).await;
    engine.start(&id).await.unwrap();
    let mut events = listen(&engine);
    let exec = engine.exec_create(&id, command()).await.unwrap();
    assert_eq!(exec.len(), 64);
    let created = engine.exec_inspect(&exec).await.unwrap();
    assert_eq!((created.running, created.exit_code, created.pid), (false, None, 0));
    let options = ExecStartOptions::default();
    let mut attached = engine.exec_start(&exec, options.clone()).await.unwrap().unwrap();
    let running = engine.exec_inspect(&exec).await.unwrap();
    assert_eq!((running.running, running.pid), (true, 9));
    assert!(engine.inspect(&id, false).await.unwrap().execs.contains(&exec));
    let error = engine.exec_start(&exec, options.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("exec command {exec} is already running"));
    assert_eq!(soon(attached.output.next()).await.unwrap().data, "hello");
    let mut input = attached.input.take().unwrap();
    input.send(Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(soon(attached.output.next()).await.unwrap().data, "x");
    input.finish().await;
    assert_eq!(soon(attached.output.next()).await, None);
    assert_eq!(
        actions(&mut events, "exec_die").await,
        ["exec_create: ls -l", "exec_start: ls -l", "exec_die 5"]
    );
    let ended = engine.exec_inspect(&exec).await.unwrap();
    assert_eq!((ended.running, ended.exit_code), (false, Some(5)));
    assert!(engine.inspect(&id, false).await.unwrap().execs.is_empty());
    let error = engine.exec_start(&exec, options).await.unwrap_err();
    assert_eq!(error.to_string(), format!("exec command {exec} has already run"));
    let request = world.fake.last_exec.lock().unwrap().clone().unwrap();
    assert_eq!(request["user"], "www");
    assert_eq!(request["process"]["cwd"], "/srv");
    let env = request["process"]["env"].as_array().unwrap();
    assert!(env.contains(&"FROM_IMAGE=2".into()) && env.contains(&"NEW=3".into()));
    assert!(!env.contains(&"FROM_IMAGE=1".into()));
}

#[tokio::test]
async fn containers_that_do_not_run_are_refused() {
    let world = World::new();
    let engine = world.open().await;
    let id = create(&engine, "web", config()).await;
    let error = engine.exec_create("web", command()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.to_string(), format!("container {id} is not running"));
    engine.start("web").await.unwrap();
    let exec = engine.exec_create("web", command()).await.unwrap();
    engine.pause("web").await.unwrap();
    let error = engine.exec_create("web", command()).await.unwrap_err();
    assert_eq!(error.to_string(), "Container web is paused, unpause the container before exec");
    engine.kill("web", None).await.unwrap();
    let error = engine.exec_start(&exec, ExecStartOptions::default()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("container {id} is not running"));
    let error = engine.exec_inspect("nope").await.unwrap_err();
    assert_eq!(error.to_string(), "No such exec instance: nope");
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_126() {
    let world = World::new();
    let engine = world.open().await;
    let id = run(&engine, "").await;
    let exec = engine.exec_create(&id, command()).await.unwrap();
    let message = "exec: \"ls\": executable file not found in $PATH";
    world.fake.script().refuse = Some(Failure::new(FailureCode::NoProgram, message));
    let error = engine.exec_start(&exec, ExecStartOptions::default()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "OCI runtime exec failed: exec failed: unable to start container process: exec: \"ls\": \
         executable file not found in $PATH: unknown"
    );
    let inspect = engine.exec_inspect(&exec).await.unwrap();
    assert_eq!((inspect.running, inspect.exit_code), (false, Some(126)));
}

#[tokio::test]
async fn execs_end_with_their_container() {
    let world = World::new();
    let engine = world.open().await;
    let id = run(&engine, "").await;
    let exec = engine.exec_create(&id, command()).await.unwrap();
    let options = ExecStartOptions { detach: true, ..ExecStartOptions::default() };
    assert!(engine.exec_start(&exec, options).await.unwrap().is_none());
    world.fake.machine(&world.dir(&id)).vanish();
    assert_eq!(wait(&engine, &id).await, 137);
    let inspect = engine.exec_inspect(&exec).await.unwrap();
    assert!(!inspect.running && inspect.exit_code.is_some());
}
