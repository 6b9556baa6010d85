use bytes::Bytes;

use super::*;
use crate::{AttachOptions, Attached, Output};

fn everything() -> AttachOptions {
    AttachOptions {
        stdin: true,
        stdout: true,
        stderr: true,
        stream: true,
        ..AttachOptions::default()
    }
}

fn interactive(tty: bool) -> ContainerConfig {
    ContainerConfig { open_stdin: true, tty, ..config() }
}

async fn text(output: &mut Output) -> Option<Bytes> {
    soon(output.next()).await.map(|chunk| chunk.data)
}

#[tokio::test]
async fn clients_from_before_the_start_get_everything() {
    let world = World::new();
    let engine = world.open().await;
    let id = create(&engine, "", interactive(false)).await;
    let mut first = engine.attach(&id, everything()).await.unwrap();
    let mut second = engine.attach(&id, everything()).await.unwrap();
    engine.start(&id).await.unwrap();
    let mut late = engine.attach(&id, everything()).await.unwrap();
    for attached in [&mut first, &mut second, &mut late] {
        assert_eq!(text(&mut attached.output).await.unwrap(), "hello");
    }
    let Attached { input, output, .. } = &mut first;
    let input = input.as_mut().unwrap();
    // Not a terminal: these are no detach keys.
    input.send(Bytes::from_static(b"\x10\x11")).await.unwrap();
    assert_eq!(text(output).await.unwrap(), "\x10\x11");
    engine.kill(&id, None).await.unwrap();
    for attached in [&mut first, &mut second, &mut late] {
        assert_eq!(text(&mut attached.output).await, None);
    }
}

#[tokio::test]
async fn a_container_without_input_gives_none() {
    let world = World::new();
    let engine = world.open().await;
    let id = create(&engine, "", config()).await;
    assert!(engine.attach(&id, everything()).await.unwrap().input.is_none());
}

#[tokio::test]
async fn detach_keys_end_the_client_and_not_the_container() {
    let world = World::new();
    let engine = world.open().await;
    let id = create(&engine, "", interactive(true)).await;
    engine.start(&id).await.unwrap();
    let mut events = listen(&engine);
    let options = AttachOptions { detach_keys: Some("ctrl-a,d".into()), ..everything() };
    let Attached { input, mut output, tty } = engine.attach(&id, options).await.unwrap();
    assert!(tty);
    assert_eq!(text(&mut output).await.unwrap(), "hello");
    let mut input = input.unwrap();
    input.send(Bytes::from_static(b"ls\x01")).await.unwrap();
    assert_eq!(text(&mut output).await.unwrap(), "ls");
    input.send(Bytes::from_static(b"d")).await.unwrap_err();
    assert_eq!(text(&mut output).await, None);
    assert_eq!(actions(&mut events, "detach").await, ["attach", "detach"]);
    assert!(engine.inspect(&id, false).await.unwrap().state.status.is_running());
}

#[tokio::test]
async fn a_failed_start_lets_waiting_clients_go() {
    let world = World::new();
    let engine = world.open().await;
    let id = create(&engine, "", interactive(false)).await;
    let mut waiting = engine.attach(&id, everything()).await.unwrap();
    std::fs::remove_file(world.root.path().join("disks/disk.vmdk")).unwrap();
    engine.start(&id).await.unwrap_err();
    assert_eq!(text(&mut waiting.output).await, None);
}

#[tokio::test]
async fn logs_come_before_the_stream() {
    let world = World::new();
    let engine = world.open().await;
    let id = run(&engine, "").await;
    let log = world.dir(&id).join(format!("{id}-json.log"));
    std::fs::write(
        log,
        "{\"log\":\"past\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:00Z\"}\n",
    )
    .unwrap();
    let options = AttachOptions { logs: true, ..everything() };
    let mut attached = engine.attach(&id, options).await.unwrap();
    assert_eq!(text(&mut attached.output).await.unwrap(), "past\n");
    assert_eq!(text(&mut attached.output).await.unwrap(), "hello");
    let options = AttachOptions { logs: true, stream: false, ..everything() };
    let mut attached = engine.attach(&id, options).await.unwrap();
    assert_eq!(text(&mut attached.output).await.unwrap(), "past\n");
    assert_eq!(text(&mut attached.output).await, None);
}

#[tokio::test]
async fn bad_keys_and_paused_containers_are_refused() {
    let world = World::new();
    let engine = world.open().await;
    run(&engine, "web").await;
    let options = AttachOptions { detach_keys: Some("ctrl-".into()), ..everything() };
    assert_eq!(
        engine.attach("web", options).await.unwrap_err().to_string(),
        "Invalid detach keys (ctrl-) provided"
    );
    engine.pause("web").await.unwrap();
    assert_eq!(
        engine.attach("web", everything()).await.unwrap_err().to_string(),
        "container web is paused, unpause the container before attach"
    );
}
