//! Starts and ends.

use hull_protocol::{ErrorCode, ExitStatus, RpcError};
use hull_vmm::End;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::client::{ClientError, Liveness, liveness, recover};
use crate::control::{Exit, FailureCode, Stop};
use crate::server::RunError;
use crate::state::{State, Status};

use super::fake::{Bench, SOON, run};

#[test]
fn a_container_runs_and_its_exit_outlives_the_supervisor() {
    run(async {
        let mut running = Bench::running(|_| {}).await;
        assert_eq!(liveness(&running.dir).unwrap(), Liveness::Alive);
        let state = running.client.status().await.unwrap();
        assert_eq!(state.status, Status::Running);
        assert_eq!(state.guest_pid, Some(42));
        let client = running.client.clone();
        let waiting = tokio::task::spawn_local(async move { client.wait().await });
        running.exit(ExitStatus::Code(7)).await;
        assert_eq!(waiting.await.unwrap().unwrap().code, 7);
        let (client, dir) = (running.client.clone(), running.dir.clone());
        assert_eq!(client.wait().await.unwrap().code, 7);
        let state = timeout(SOON, running.supervisor).await.unwrap().unwrap();
        state.unwrap();
        let Liveness::Dead(Some(state)) = recover(&dir).unwrap() else {
            panic!("not dead");
        };
        assert_eq!(state.exit.as_ref().unwrap().code, 7);
        assert!(state.finished_at >= state.started_at);
        let timings = &state.timings;
        assert!(timings.hello <= timings.configured && timings.created <= timings.started);
        assert!(timings.exited <= timings.machine_ended && timings.machine_ended.is_some());
        assert_eq!(client.stop(Stop::default()).await.unwrap().code, 7);
        assert!(matches!(client.status().await, Err(ClientError::Connect(_))));
    });
}

#[test]
fn a_start_may_come_before_the_container_is_created_or_after() {
    run(async {
        let mut bench = Bench::new(|_| {}).await;
        bench.guest.create().await;
        bench.control.created().await.unwrap();
        assert_eq!(bench.client.status().await.unwrap().status, Status::Starting);
        let (started, ()) = tokio::join!(bench.control.start(), async {
            let (number, _) = bench.guest.request().await;
            bench.guest.reply(number, hull_protocol::Reply::Started { pid: 1 }).await;
        });
        assert_eq!(started.unwrap().status, Status::Running);
    });
}

#[test]
fn without_its_daemon_nothing_starts() {
    run(async {
        for created in [false, true] {
            let mut bench = Bench::new(|_| {}).await;
            if created {
                bench.guest.create().await;
                bench.control.created().await.unwrap();
            }
            drop(bench.control);
            timeout(SOON, bench.supervisor).await.unwrap().unwrap().unwrap();
            let state = State::read(&bench.dir).unwrap().unwrap();
            assert_eq!(state.status, Status::Exited);
            assert_eq!(state.started_at, None);
            let error = state.exit.unwrap().error.unwrap();
            assert_eq!(error, "the daemon has gone before the start");
            let end = bench.guest.end.borrow().clone();
            assert_eq!(end.unwrap().signal, Some(9));
        }
    });
}

#[test]
fn a_program_that_cannot_be_executed_is_reported() {
    run(async {
        let mut bench = Bench::new(|launch| launch["discard"] = true.into()).await;
        let message = "exec: \"x\": executable file not found in $PATH";
        let (started, ()) = tokio::join!(bench.control.start(), async {
            bench.guest.create().await;
            let (number, _) = bench.guest.request().await;
            let error = RpcError { code: ErrorCode::NoProgram, message: message.into() };
            bench.guest.refuse(number, error).await;
        });
        let Err(ClientError::Failed(failure)) = started else {
            panic!("{started:?}");
        };
        assert_eq!(failure.code, FailureCode::NoProgram);
        let exit = bench.client.wait().await.unwrap();
        assert_eq!((exit.code, exit.error.as_deref()), (127, Some(message)));
    });
}

#[test]
fn a_machine_that_dies_at_boot_is_reported_with_its_last_words() {
    run(async {
        let mut bench = Bench::new(|_| {}).await;
        let panic = b"[    0.5] Kernel panic - not syncing: no init\r\n";
        bench.guest.console.write_all(panic).await.unwrap();
        tokio::task::yield_now().await;
        bench.guest.end.send_replace(Some(End::default()));
        let error = bench.control.created().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the machine ended while it booted: Kernel panic - not syncing: no init"
        );
        let boot_log = std::fs::read(bench.dir.join("boot.log")).unwrap();
        assert_eq!(boot_log, panic);
    });
}

#[test]
fn a_failure_before_the_start_is_heard_by_a_late_start() {
    run(async {
        let bench = Bench::new(|_| {}).await;
        let end = End { message: "qemu: no\n".into(), ..End::default() };
        bench.guest.end.send_replace(Some(end));
        timeout(SOON, bench.supervisor).await.unwrap().unwrap().unwrap();
        let error = bench.control.start().await.unwrap_err().to_string();
        assert_eq!(error, "the machine ended while it booted: qemu: no");
    });
}

#[test]
fn a_machine_that_dies_later_ends_the_container_with_137() {
    run(async {
        let running = Bench::running(|_| {}).await;
        let end = End {
            code: Some(1),
            message: "warning\nqemu: out of memory\n".into(),
            ..End::default()
        };
        running.guest.end.send_replace(Some(end));
        let client = running.client.clone();
        drop(running.guest);
        let exit = client.wait().await.unwrap();
        assert_eq!(exit.code, 137);
        assert_eq!(exit.error.unwrap(), "VMM ended: qemu: out of memory");
    });
}

#[test]
fn garbage_of_the_guest_ends_the_container() {
    run(async {
        let mut running = Bench::running(|launch| launch["discard"] = true.into()).await;
        let frame = hull_protocol::Frame::new(hull_protocol::Kind::Hello, 0, []);
        running.guest.send(frame).await;
        let exit = running.client.wait().await.unwrap();
        assert_eq!(exit.code, 137);
        let error = exit.error.unwrap();
        assert!(error.contains("broke the protocol"), "{error}");
    });
}

#[test]
fn a_killed_supervisor_is_found_dead_and_recorded() {
    run(async {
        let running = Bench::running(|_| {}).await;
        running.supervisor.abort();
        let _ = running.supervisor.await;
        assert_eq!(running.client.wait().await.unwrap(), Exit::supervisor_died());
        let Liveness::Dead(Some(state)) = recover(&running.dir).unwrap() else {
            panic!("not dead");
        };
        assert_eq!(state.exit, Some(Exit::supervisor_died()));
        assert!(state.finished_at.is_some());
        assert!(!running.dir.join("sup.sock").exists());
        assert_eq!(State::read(&running.dir).unwrap(), Some(state));
    });
}

#[test]
fn a_container_has_one_supervisor() {
    run(async {
        let bench = Bench::new(|_| {}).await;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let launcher = crate::server::machine::QemuLauncher::default();
        theirs.set_nonblocking(true).unwrap();
        let theirs = tokio::net::UnixStream::from_std(theirs).unwrap();
        let second = super::super::serve(&bench.dir, theirs, &launcher).await;
        assert!(matches!(second, Err(RunError::Locked { .. })));
        let mut refused = crate::Control::new(ours, &bench.dir).unwrap();
        let error = refused.created().await.unwrap_err().to_string();
        assert!(error.contains("has a supervisor already"), "{error}");
        assert!(bench.client.status().await.is_ok());
    });
}
