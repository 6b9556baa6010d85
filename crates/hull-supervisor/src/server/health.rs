//! Checks the health of the container while it runs: moby's `daemon/health.go`, in the process
//! that lives as long as the container.

use std::sync::Arc;
use std::time::Duration;

use hull_format::GoDuration;
use hull_guest::Output;
use hull_protocol::{ExitStatus, Request};
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::control::{Attach, Exec, Failure, FailureCode};
use crate::health::{Check, Health, HealthStatus};
use crate::launch::HealthLaunch;
use crate::state::Status;

use super::context::Context;
use super::exec::{self, Started};

/// Checks until it is cancelled; the container has just been started.
pub(super) async fn keep(context: Arc<Context>) {
    let Some(launch) = &context.launch.health else {
        return;
    };
    // What was found in the last run can be looked at, but says nothing about this one.
    let log = Health::read(context.dir()).ok().flatten().map(|old| old.log).unwrap_or_default();
    publish(&context, Health { log, serial: 1, ..Health::default() });
    let began = Instant::now();
    let in_start = || began.elapsed() < Duration::from_nanos(launch.start_period);
    for number in 0_u64.. {
        let starting = current(&context).status == HealthStatus::Starting;
        let interval = match in_start() && starting {
            true => launch.start_interval,
            false => launch.interval,
        };
        sleep(Duration::from_nanos(interval)).await;
        if context.state().status == Status::Paused {
            while context.state().status == Status::Paused {
                sleep(PAUSED_POLL).await;
            }
            continue;
        }
        let forgiven = in_start();
        let check = check(&context, launch, number).await;
        let mut health = current(&context);
        health.take(check, launch.retries, forgiven);
        publish(&context, health);
    }
}

/// Notes that nobody checks any more: the container has ended.
pub(super) fn end(context: &Context) {
    if context.launch.health.is_some() {
        let mut health = current(context);
        health.status = HealthStatus::Unhealthy;
        health.serial += 1;
        publish(context, health);
    }
}

fn current(context: &Context) -> Health {
    context.health.borrow().clone().unwrap_or_default()
}

fn publish(context: &Context, health: Health) {
    if let Err(error) = health.write(context.dir()) {
        tracing::warn!(container = context.launch.container, %error, "cannot record its health");
    }
    context.health.send_replace(Some(health));
}

async fn check(context: &Arc<Context>, launch: &HealthLaunch, number: u64) -> Check {
    let start = Timestamp::now();
    let (exit_code, output) = match run(context, launch, number).await {
        Ok(result) => result,
        Err(failure) => (-1, failure.message),
    };
    Check { start, end: Timestamp::now(), exit_code, output }
}

/// Runs one check; returns its exit code and output.
async fn run(
    context: &Arc<Context>,
    launch: &HealthLaunch,
    number: u64,
) -> Result<(i32, String), Failure> {
    let name = format!("health-{number}");
    let unregistered = || Failure::new(FailureCode::Failed, "a check is running already");
    let mut exited = context.register_exec(&name).ok_or_else(unregistered)?;
    let limit = Duration::from_nanos(launch.timeout);
    let mut output = Vec::new();
    let checked = async {
        let request = Exec {
            exec: name.clone(),
            process: launch.process.clone(),
            user: launch.user.clone(),
            tty: false,
            privileged: launch.privileged,
            attach: Attach { stdin: false, stdout: true, stderr: true },
        };
        let started = exec::start(context, request).await?;
        Ok(collect(started, &mut exited, &mut output).await)
    };
    let result = match timeout(limit, checked).await {
        Ok(Ok(status)) => Ok((status.map_or(-1, |status| status.code()), text(&output))),
        Ok(Err(failure)) => Err(failure),
        Err(_) => {
            kill(context, &name).await;
            // Checks that do not end must not pile up.
            let _ = timeout(limit, &mut exited).await;
            let late = format!("Health check exceeded timeout ({})", GoDuration::from(limit));
            let said = match output.is_empty() {
                true => late,
                false => format!("{late}: {}", text(&output)),
            };
            Ok((-1, said))
        }
    };
    context.end_exec(&name, None);
    result
}

/// Reads a check's output until it has ended.
async fn collect(
    started: Started,
    exited: &mut oneshot::Receiver<ExitStatus>,
    output: &mut Vec<u8>,
) -> Option<ExitStatus> {
    let mut outputs = started.outputs;
    let mut status = None;
    loop {
        let next = async {
            match &mut outputs {
                Some(streams) => streams.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            piece = next => match piece {
                Ok(Some(Output::Data { bytes, .. })) => {
                    let room = (MOST + 1).saturating_sub(output.len());
                    output.extend_from_slice(&bytes[..bytes.len().min(room)]);
                }
                Ok(Some(Output::Eof { .. })) => {}
                Ok(None) | Err(_) => {
                    outputs = None;
                    if status.is_some() {
                        return status;
                    }
                }
            },
            ended = &mut *exited, if status.is_none() => {
                status = ended.ok();
                if status.is_none() || outputs.is_none() {
                    return status;
                }
            }
            // Something that it left behind holds its output open.
            () = sleep(LINGER), if status.is_some() => return status,
        }
    }
}

async fn kill(context: &Context, name: &str) {
    let target = context.target(Some(name.to_owned()));
    if let Ok(guest) = context.guest() {
        // It may have ended just now.
        let _ = guest.send(&Request::Signal { target, signal: SIGKILL, all: false }).done().await;
    }
}

/// moby's `limitedBuffer`.
fn text(output: &[u8]) -> String {
    let shown = String::from_utf8_lossy(&output[..output.len().min(MOST)]);
    match output.len() > MOST {
        true => format!("{shown}..."),
        false => shown.into_owned(),
    }
}

const SIGKILL: i32 = 9;
/// moby's `maxOutputLen`.
const MOST: usize = 4096;
/// How long output of a check that has ended may be silent before it counts as ended, too.
const LINGER: Duration = Duration::from_millis(200);
const PAUSED_POLL: Duration = Duration::from_millis(200);
