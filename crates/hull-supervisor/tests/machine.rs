//! Containers in real machines, under a supervisor process.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::time::{Duration, Instant};

use common::{ALL, Home, SOON, process, read, start, supervise};
use hull_supervisor::client::{ClientError, Liveness, recover};
use hull_supervisor::control::{Exec, Stop};
use hull_supervisor::state::State;
use hull_supervisor::{FailureCode, Status};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::time::timeout;

fn pid(number: Option<u32>) -> Pid {
    Pid::from_raw(number.unwrap() as i32).unwrap()
}

async fn gone(pid: Pid) {
    let dies = async {
        while test_kill_process(pid).is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, dies).await.unwrap();
}

#[tokio::test]
async fn a_command_runs_with_streams_log_exit_code_and_nothing_left() {
    let Some(home) = Home::new() else { return };
    let dir = home.container("echo out; echo err >&2; mkdir /x; hostname; exit 7", |_| {});
    let begin = Instant::now();
    let (client, mut attached, state) = start(&dir).await;
    let (stdout, stderr, exit) = read(&mut attached).await;
    println!("took {:?}: {:?}", begin.elapsed(), client.wait().await.unwrap());
    assert_eq!(String::from_utf8_lossy(&stdout), "out\ntest\n");
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(stderr.starts_with("err\n"), "{stderr}");
    assert!(stderr.contains("Operation not permitted"), "seccomp: {stderr}");
    assert_eq!(exit.unwrap().code, 7);
    gone(pid(state.vmm_pid)).await;
    gone(pid(Some(state.supervisor_pid))).await;
    let state = State::read(&dir).unwrap().unwrap();
    println!("{:#?}", state.timings);
    assert!(state.guest_kernel.is_some() && state.timings.first_output.is_some());
    let log = std::fs::read_to_string(dir.join("json.log")).unwrap();
    assert!(log.starts_with(r#"{"log":"out\n","stream":"stdout","time":""#), "{log}");
}

#[tokio::test]
async fn an_image_may_be_a_descriptor_of_extents() {
    let Some(home) = Home::new() else { return };
    let dir = home.container("echo from extents", |launch| {
        launch["disks"]["image"] = home.descriptor().to_str().unwrap().into();
    });
    let (_, mut attached, _) = start(&dir).await;
    assert_eq!(read(&mut attached).await.0, b"from extents\n");
}

#[tokio::test]
async fn megabytes_go_in_and_out_unharmed() {
    let Some(home) = Home::new() else { return };
    let dir = home.container("cat", |launch| {
        launch["stdio"] = serde_json::json!({"tty": false, "open_stdin": true, "stdin_once": true});
        launch["log"] = serde_json::json!({"driver": "none"});
    });
    let (_, mut attached, _) = start(&dir).await;
    let content: Vec<u8> =
        (0..8_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sent = content.clone();
    let mut input = attached.input;
    let writer = tokio::spawn(async move {
        input.write(&sent).await.unwrap();
        input.eof().await.unwrap();
    });
    let begin = Instant::now();
    // The input half was taken out; what is left reads on.
    let mut stdout = Vec::new();
    let mut code = None;
    while let Some(piece) = timeout(SOON, attached.output.next()).await.unwrap().unwrap() {
        match piece {
            hull_supervisor::client::Piece::Data(_, bytes) => stdout.extend_from_slice(&bytes),
            hull_supervisor::client::Piece::Exit(exit) => code = Some(exit.code),
            hull_supervisor::client::Piece::InputClosed => panic!("stdin closed early"),
        }
    }
    writer.await.unwrap();
    println!("8 MiB through cat in {:?}", begin.elapsed());
    assert_eq!((stdout.len(), code), (content.len(), Some(0)));
    assert!(stdout == content);
}

#[tokio::test]
async fn execs_signals_and_stops_work() {
    let Some(home) = Home::new() else { return };
    let dir = home.container("trap 'exit 3' TERM; while :; do sleep 0.1; done", |_| {});
    let (client, mut attached, state) = start(&dir).await;
    let exec = |name: &str, arguments: &[&str]| Exec {
        exec: name.into(),
        process: serde_json::value::to_raw_value(&process(arguments)).unwrap(),
        user: None,
        tty: false,
        privileged: false,
        attach: ALL,
    };
    let (_, mut echo) = client.exec(exec("e1", &["sh", "-c", "cat; exit 5"])).await.unwrap();
    echo.input.write(b"through").await.unwrap();
    echo.input.eof().await.unwrap();
    let (stdout, _, exit) = read(&mut echo).await;
    assert_eq!((stdout.as_slice(), exit.unwrap().code), (&b"through"[..], 5));
    let Err(ClientError::Failed(failure)) = client.exec(exec("e2", &["nothing"])).await else {
        panic!("it started");
    };
    assert_eq!(failure.code, FailureCode::NoProgram, "{failure}");
    println!("{failure}");
    let begin = Instant::now();
    client.exec(exec("e3", &["true"])).await.unwrap();
    println!("exec in {:?}", begin.elapsed());

    client.pause().await.unwrap();
    assert_eq!(client.status().await.unwrap().status, Status::Paused);
    client.resume().await.unwrap();
    assert!(client.processes().await.unwrap().len() >= 2);
    assert!(client.statistics().await.unwrap().memory_usage > 0);
    let exit = client.stop(Stop::default()).await.unwrap();
    assert_eq!(exit.code, 3);
    assert_eq!(read(&mut attached).await.2.unwrap().code, 3);
    gone(pid(state.vmm_pid)).await;
}

#[tokio::test]
async fn a_terminal_has_a_size_and_one_stream() {
    let Some(home) = Home::new() else { return };
    let script = "read line; stty size; echo \"got $line\" >&2; [ -t 0 ] && [ -t 2 ]";
    let dir = home.container(script, |launch| {
        launch["stdio"] = serde_json::json!({"tty": true, "open_stdin": true, "stdin_once": true});
        launch["spec"]["process"]["terminal"] = true.into();
        launch["spec"]["process"]["consoleSize"] = serde_json::json!({"height": 20, "width": 70});
    });
    let (client, mut attached, _) = start(&dir).await;
    client.resize(None, 31, 97).await.unwrap();
    attached.input.write(b"typed\r").await.unwrap();
    let (stdout, stderr, exit) = read(&mut attached).await;
    let stdout = String::from_utf8(stdout).unwrap();
    assert_eq!(stdout, "typed\r\n31 97\r\ngot typed\r\n");
    assert_eq!((stderr.len(), exit.unwrap().code), (0, 0));
}

#[tokio::test]
async fn a_killed_vmm_or_supervisor_leaves_nothing() {
    let Some(home) = Home::new() else { return };
    let dir = home.container("sleep 1000", |_| {});
    let (client, _attached, state) = start(&dir).await;
    kill_process(pid(state.vmm_pid), Signal::KILL).unwrap();
    let exit = timeout(SOON, client.wait()).await.unwrap().unwrap();
    assert_eq!(exit.code, 137);
    assert_eq!(exit.error.unwrap(), "VMM ended: killed by signal 9");
    gone(pid(Some(state.supervisor_pid))).await;

    let (client, _attached, state) = start(&dir).await;
    kill_process(pid(Some(state.supervisor_pid)), Signal::KILL).unwrap();
    gone(pid(state.vmm_pid)).await;
    assert_eq!(client.wait().await.unwrap().error.unwrap(), "supervisor died");
    assert!(matches!(recover(&dir).unwrap(), Liveness::Dead(Some(_))));
}

#[tokio::test]
async fn the_writable_layer_survives_a_restart_and_a_gone_daemon_starts_nothing() {
    let Some(home) = Home::new() else { return };
    let dir = home.container("cat /kept; echo text > /kept", |launch| {
        launch["disks"]["scratch"] = home.scratch().to_str().unwrap().into();
        launch["discard"] = false.into();
    });
    let mut seen = Vec::new();
    for _ in 0..2 {
        let (client, mut attached, _) = start(&dir).await;
        seen.push(read(&mut attached).await.0);
        client.wait().await.unwrap();
    }
    assert_eq!(seen, [b"".to_vec(), b"text\n".to_vec()]);
    println!("{:#?}", State::read(&dir).unwrap().unwrap().timings);

    let mut control = supervise(&dir).await;
    timeout(SOON, control.created()).await.unwrap().unwrap();
    let state = control.client().status().await.unwrap();
    let client = control.client();
    drop(control);
    let exit = timeout(SOON, client.wait()).await.unwrap().unwrap();
    assert_eq!(exit.error.unwrap(), "the daemon has gone before the start");
    gone(pid(state.vmm_pid)).await;
}

#[tokio::test]
async fn a_kernel_that_cannot_work_is_refused_with_the_reason() {
    let Some(home) = Home::new() else { return };
    let dir = home.container("true", |launch| {
        launch["machine"]["kernel"] = "/bin/busybox".into();
    });
    let error = supervise(&dir).await.start().await.unwrap_err().to_string();
    assert!(error.contains("/bin/busybox") && error.contains("cannot be used"), "{error}");
    let dir = home.container("true", |launch| {
        launch["machine"]["qemu"] = "/nonexistent/qemu".into();
    });
    let error = supervise(&dir).await.start().await.unwrap_err().to_string();
    assert!(error.contains("/nonexistent/qemu"), "{error}");
}
