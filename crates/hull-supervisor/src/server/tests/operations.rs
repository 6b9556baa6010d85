//! What clients ask for.

use hull_protocol::{ErrorCode, ExitStatus, Frame, Kind, Part, Reply, Request, RpcError};
use serde_json::value::RawValue;
use tokio::time::timeout;

use crate::client::{ClientError, Piece};
use crate::control::{Attach, Channel, CopyIn, Exec, FailureCode, Stop};
use crate::state::Status;

use super::fake::{Bench, SOON, run};

fn exec(name: &str, attach: Attach) -> Exec {
    Exec {
        exec: name.into(),
        process: RawValue::from_string("{}".into()).unwrap(),
        user: None,
        tty: false,
        privileged: false,
        attach,
    }
}

const ALL: Attach = Attach { stdin: true, stdout: true, stderr: true };

#[test]
fn an_exec_has_streams_and_an_exit_of_its_own() {
    run(async {
        let mut running = Bench::running(|_| {}).await;
        let client = running.client.clone();
        let begun = tokio::task::spawn_local(async move { client.exec(exec("e", ALL)).await });
        let (number, request) = running.guest.request().await;
        let Request::Exec(request) = request else {
            panic!("{request:?}");
        };
        running.guest.reply(number, Reply::Started { pid: 9 }).await;
        let (pid, mut attached) = begun.await.unwrap().unwrap();
        assert_eq!(pid, 9);
        attached.input.write(b"in").await.unwrap();
        attached.input.eof().await.unwrap();
        assert_eq!(running.guest.expect(Kind::Data).await.payload, b"in");
        assert_eq!(running.guest.expect(Kind::Eof).await.stream, request.stdio.stdin.unwrap());
        let (out, err) = (request.stdio.stdout.unwrap(), request.stdio.stderr.unwrap());
        running.guest.send(Frame::new(Kind::Data, err, *b"oops")).await;
        running.guest.exited(Some("e"), ExitStatus::Code(4)).await;
        running.guest.send(Frame::new(Kind::Data, out, *b"late")).await;
        running.guest.send(Frame::new(Kind::Eof, out, [])).await;
        running.guest.send(Frame::new(Kind::Eof, err, [])).await;
        let mut pieces = Vec::new();
        while let Some(piece) = timeout(SOON, attached.output.next()).await.unwrap().unwrap() {
            pieces.push(piece);
        }
        assert_eq!(pieces[0], Piece::Data(Channel::Stderr, "oops".into()));
        assert_eq!(pieces[1], Piece::Data(Channel::Stdout, "late".into()));
        assert!(matches!(&pieces[2], Piece::Exit(exit) if exit.code == 4));
        assert_eq!(running.client.status().await.unwrap().status, Status::Running);
    });
}

#[test]
fn an_exec_that_cannot_start_says_why_and_frees_its_name() {
    run(async {
        let mut running = Bench::running(|_| {}).await;
        for _ in 0..2 {
            let client = running.client.clone();
            let begun = tokio::task::spawn_local(async move { client.exec(exec("e", ALL)).await });
            let (number, _) = running.guest.request().await;
            let error =
                RpcError { code: ErrorCode::NotExecutable, message: "permission denied".into() };
            running.guest.refuse(number, error).await;
            let Err(ClientError::Failed(failure)) = begun.await.unwrap() else {
                panic!("not refused");
            };
            assert_eq!(failure.exit_code(), 126);
            // What was opened for it is given up again.
            running.guest.expect(Kind::Reset).await;
            running.guest.expect(Kind::Reset).await;
            running.guest.expect(Kind::Eof).await;
        }
    });
}

#[test]
fn an_exec_goes_on_without_its_client_and_ends_with_the_container() {
    run(async {
        let mut running = Bench::running(|launch| launch["discard"] = true.into()).await;
        let mut attached = Vec::new();
        for name in ["gone", "stays"] {
            let client = running.client.clone();
            let begun = tokio::task::spawn_local(async move { client.exec(exec(name, ALL)).await });
            let (number, _) = running.guest.request().await;
            running.guest.reply(number, Reply::Started { pid: 9 }).await;
            attached.push(begun.await.unwrap().unwrap().1);
        }
        let mut stays = attached.pop().unwrap();
        drop(attached);
        assert_eq!(running.guest.expect(Kind::Eof).await.payload, b"");
        let end = running.exit(ExitStatus::Code(0));
        let exit = async {
            loop {
                match timeout(SOON, stays.output.next()).await.unwrap().unwrap() {
                    Some(Piece::Exit(exit)) => return exit,
                    Some(_) => {}
                    None => panic!("no exit"),
                }
            }
        };
        let ((), exit) = tokio::join!(end, exit);
        assert_eq!(exit.code, 137);
    });
}

#[test]
fn requests_are_passed_on_and_refusals_back() {
    run(async {
        let mut running = Bench::running(|_| {}).await;
        let client = running.client.clone();
        let asked = tokio::task::spawn_local(async move {
            client.resize(Some("e"), 24, 80).await.unwrap();
            client.stat("/nothing").await
        });
        let (number, request) = running.guest.request().await;
        assert!(matches!(
            request,
            Request::Resize { target, rows: 24, columns: 80 } if target.exec.as_deref() == Some("e")
        ));
        running.guest.reply(number, Reply::Done).await;
        let (number, _) = running.guest.request().await;
        let error = RpcError { code: ErrorCode::NotFound, message: "no such file".into() };
        running.guest.refuse(number, error).await;
        let Err(ClientError::Failed(failure)) = asked.await.unwrap() else {
            panic!("not refused");
        };
        assert_eq!(failure.code, FailureCode::NotFound);
    });
}

#[test]
fn before_the_start_there_is_nothing_to_ask() {
    run(async {
        let bench = Bench::new(|_| {}).await;
        let Err(ClientError::Failed(failure)) = bench.client.signal(None, 15).await else {
            panic!("not refused");
        };
        assert_eq!(failure.code, FailureCode::NotRunning);
    });
}

#[test]
fn a_paused_container_takes_signals_by_going_on() {
    run(async {
        let mut running = Bench::running(|_| {}).await;
        let client = running.client.clone();
        let asked = tokio::task::spawn_local(async move {
            client.pause().await.unwrap();
            assert_eq!(client.status().await.unwrap().status, Status::Paused);
            client.signal(None, 15).await.unwrap();
            client.status().await.unwrap().status
        });
        for expected in ["pause", "signal", "resume"] {
            let (number, request) = running.guest.request().await;
            let name = serde_json::to_value(&request).unwrap();
            assert!(name.get(expected).is_some(), "{name}");
            running.guest.reply(number, Reply::Done).await;
        }
        assert_eq!(asked.await.unwrap(), Status::Running);
    });
}

#[test]
fn a_stop_kills_what_does_not_end() {
    run(async {
        let mut running = Bench::running(|launch| {
            launch["stop"] = serde_json::json!({ "signal": 2, "timeout": 0 });
        })
        .await;
        let client = running.client.clone();
        let stopped =
            tokio::task::spawn_local(async move { client.stop(Stop::default()).await.unwrap() });
        for expected in [2, 9] {
            let (number, request) = running.guest.request().await;
            assert!(matches!(request, Request::Signal { signal, .. } if signal == expected));
            running.guest.reply(number, Reply::Done).await;
        }
        running.exit(ExitStatus::Signal(9)).await;
        let exit = stopped.await.unwrap();
        assert_eq!((exit.code, exit.signal), (137, Some(9)));
    });
}

#[test]
fn a_machine_can_be_ended_whatever_its_guest_does() {
    run(async {
        let running = Bench::running(|_| {}).await;
        let client = running.client.clone();
        let guest = running.guest;
        let ended = guest.end.subscribe();
        let closing = tokio::task::spawn_local(async move {
            let mut ended = ended;
            ended.wait_for(Option::is_some).await.unwrap();
            drop(guest);
        });
        let exit = timeout(SOON, client.destroy()).await.unwrap().unwrap();
        closing.await.unwrap();
        assert_eq!(exit.code, 137);
        // It was asked for: nothing is wrong.
        assert_eq!(exit.error, None);
    });
}

#[test]
fn archives_go_in_and_out() {
    run(async {
        let mut running = Bench::running(|_| {}).await;
        let copy_in = CopyIn { path: "/tmp".into(), ..CopyIn::default() };
        let mut copy = running.client.copy_in(copy_in).await.unwrap();
        copy.write(b"archive").await.unwrap();
        let (number, _) = running.guest.request().await;
        assert_eq!(running.guest.expect(Kind::Data).await.payload, b"archive");
        let finish = tokio::task::spawn_local(copy.finish());
        running.guest.expect(Kind::Eof).await;
        running.guest.reply(number, Reply::Done).await;
        finish.await.unwrap().unwrap();

        let client = running.client.clone();
        let copying =
            tokio::task::spawn_local(
                async move { client.copy_out(Part::Path("/etc".into())).await },
            );
        let (number, request) = running.guest.request().await;
        let Request::CopyOut { stream, .. } = request else {
            panic!("{request:?}");
        };
        running.guest.send(Frame::new(Kind::Data, stream, *b"half")).await;
        let mut copy = copying.await.unwrap().unwrap();
        assert_eq!(copy.next().await.unwrap().unwrap(), "half");
        let error = RpcError { code: ErrorCode::Failed, message: "input/output error".into() };
        running.guest.send(Frame::new(Kind::Eof, stream, [])).await;
        running.guest.refuse(number, error).await;
        let error = copy.next().await.unwrap_err();
        assert_eq!(error.to_string(), "input/output error");
        assert!(copy.next().await.unwrap().is_none());
    });
}
