//! Standard streams: log, attached clients, stdin.

use hull_protocol::{ExitStatus, Frame, Kind};
use tokio::time::timeout;

use crate::client::{Attached, Piece};
use crate::control::{Attach, Channel};

use super::fake::{Bench, Running, SOON, run};

const ALL: Attach = Attach { stdin: true, stdout: true, stderr: true };

fn interactive(launch: &mut serde_json::Value, stdin_once: bool, tty: bool) {
    launch["stdio"] = serde_json::json!({
        "tty": tty, "open_stdin": true, "stdin_once": stdin_once,
    });
}

/// Reads to the end: stdout, stderr, exit code.
async fn read(attached: &mut Attached) -> (Vec<u8>, Vec<u8>, Option<i32>) {
    let (mut stdout, mut stderr, mut code) = (Vec::new(), Vec::new(), None);
    while let Some(piece) = timeout(SOON, attached.output.next()).await.unwrap().unwrap() {
        match piece {
            Piece::Data(Channel::Stdout, bytes) => stdout.extend_from_slice(&bytes),
            Piece::Data(Channel::Stderr, bytes) => stderr.extend_from_slice(&bytes),
            Piece::Exit(exit) => code = Some(exit.code),
            Piece::InputClosed => {}
        }
    }
    (stdout, stderr, code)
}

#[test]
fn output_reaches_the_log_and_every_client_and_the_exit_comes_last() {
    run(async {
        let mut bench = Bench::new(|_| {}).await;
        let mut early = bench.client.attach(ALL).await.unwrap();
        let wants = Attach { stderr: true, ..Attach::default() };
        let mut errors = bench.client.attach(wants).await.unwrap();
        let (started, create) = tokio::join!(bench.control.start(), bench.guest.start());
        started.unwrap();
        let (out, err) = (create.stdio.stdout.unwrap(), create.stdio.stderr.unwrap());
        for (stream, text) in [(out, "one\n"), (err, "two\n"), (out, "three")] {
            bench.guest.send(Frame::new(Kind::Data, stream, text)).await;
        }
        bench.guest.send(Frame::new(Kind::Eof, out, [])).await;
        bench.guest.send(Frame::new(Kind::Eof, err, [])).await;
        bench.guest.exited(None, ExitStatus::Signal(15)).await;
        let seen = read(&mut early).await;
        assert_eq!(seen, (b"one\nthree".to_vec(), b"two\n".to_vec(), Some(143)));
        assert_eq!(read(&mut errors).await, (vec![], b"two\n".to_vec(), Some(143)));
        let log = super::fake::log(&bench.dir);
        let lines: Vec<_> =
            log.lines().map(|line| line.split(",\"time\"").next().unwrap()).collect();
        assert_eq!(
            lines,
            [
                r#"{"log":"one\n","stream":"stdout""#,
                r#"{"log":"two\n","stream":"stderr""#,
                r#"{"log":"three","stream":"stdout""#,
            ]
        );
    });
}

/// Sends more than all buffers hold, obeying the window; `false`: it got stuck.
async fn flood(running: &mut Running, total: usize) -> bool {
    let mut window = hull_protocol::SendWindow::default();
    let mut sent = 0;
    while sent < total {
        let size = window.take(hull_protocol::frame::MAX_DATA);
        if size == 0 {
            let Ok(frame) = timeout(SOON / 10, running.guest.receive()).await else {
                return false;
            };
            window.grant(frame.unwrap().credit_bytes().unwrap());
            continue;
        }
        running.output(false, &vec![b'x'; size]).await;
        sent += size;
    }
    true
}

#[test]
fn a_client_that_is_gone_holds_nothing_up() {
    run(async {
        let mut running =
            Bench::running(|launch| launch["log"] = serde_json::json!({"driver": "none"})).await;
        drop(running.client.attach(ALL).await.unwrap());
        assert!(flood(&mut running, 4 << 20).await);
        running.exit(ExitStatus::Code(0)).await;
        assert_eq!(running.ended().await.exit.unwrap().code, 0);
    });
}

#[test]
fn a_client_that_does_not_read_holds_the_container_up_until_it_goes() {
    run(async {
        let mut running = Bench::running(|_| {}).await;
        let slow = running.client.attach(ALL).await.unwrap();
        let mut status = running.client.attach(Attach::default()).await.unwrap();
        assert!(!flood(&mut running, 4 << 20).await);
        assert!(running.client.status().await.is_ok(), "the rest goes on");
        drop(slow);
        running.exit(ExitStatus::Code(3)).await;
        assert_eq!(read(&mut status).await.2, Some(3));
    });
}

#[test]
fn a_slow_client_gets_everything_even_after_the_end() {
    run(async {
        let mut running = Bench::running(|launch| launch["discard"] = true.into()).await;
        let mut slow = running.client.attach(ALL).await.unwrap();
        assert!(!flood(&mut running, 4 << 20).await);
        let (client, dir) = (running.client.clone(), running.dir.clone());
        running.exit(ExitStatus::Code(0)).await;
        client.wait().await.unwrap();
        let logged: usize = super::fake::log(&dir).matches('x').count();
        let (stdout, _, code) = read(&mut slow).await;
        assert_eq!((stdout.len(), code), (logged, Some(0)));
        assert!(logged > 256 << 10);
    });
}

#[test]
fn stdin_reaches_the_process_and_ends_with_its_only_client() {
    run(async {
        for leaves in [false, true] {
            let mut bench = Bench::new(|launch| interactive(launch, true, false)).await;
            let mut attached = bench.client.attach(ALL).await.unwrap();
            // Before the guest is even there.
            attached.input.write(b"hello").await.unwrap();
            let (_, create) = tokio::join!(bench.control.start(), bench.guest.start());
            let stdin = create.stdio.stdin.unwrap();
            let data = bench.guest.expect(Kind::Data).await;
            assert_eq!((data.stream, data.payload.as_slice()), (stdin, &b"hello"[..]));
            if leaves {
                drop(attached);
            } else {
                attached.input.eof().await.unwrap();
            }
            assert_eq!(bench.guest.expect(Kind::Eof).await.stream, stdin);
        }
    });
}

#[test]
fn stdin_that_is_kept_open_survives_its_clients() {
    run(async {
        for (stdin_once, tty) in [(false, false), (false, true), (true, true)] {
            let mut running = Bench::running(|launch| interactive(launch, stdin_once, tty)).await;
            assert_eq!(running.create.stdio.terminal, tty);
            assert_eq!(running.create.stdio.stderr.is_none(), tty);
            drop(running.client.attach(ALL).await.unwrap());
            let mut detached = running.client.attach(ALL).await.unwrap();
            detached.input.write(b"1").await.unwrap();
            assert_eq!(running.guest.expect(Kind::Data).await.payload, b"1");
            detached.input.eof().await.unwrap();
            assert_eq!(read(&mut detached).await.2, None, "detached, not ended");
            let mut again = running.client.attach(ALL).await.unwrap();
            again.input.write(b"2").await.unwrap();
            assert_eq!(running.guest.expect(Kind::Data).await.payload, b"2");
        }
    });
}

#[test]
fn a_client_learns_that_the_process_closed_its_stdin() {
    run(async {
        let mut running = Bench::running(|launch| interactive(launch, true, false)).await;
        let mut attached = running.client.attach(ALL).await.unwrap();
        attached.input.write(b"x").await.unwrap();
        let stdin = running.guest.expect(Kind::Data).await.stream;
        running.guest.send(Frame::new(Kind::Reset, stdin, [])).await;
        tokio::task::yield_now().await;
        attached.input.write(b"y").await.unwrap();
        loop {
            match timeout(SOON, attached.output.next()).await.unwrap().unwrap() {
                Some(Piece::InputClosed) => return,
                Some(_) => {}
                None => panic!("the client was dropped"),
            }
        }
    });
}
