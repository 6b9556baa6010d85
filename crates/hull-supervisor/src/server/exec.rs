//! Further processes in the container.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hull_guest::{InputStream, Output, OutputStreams};
use hull_protocol::{ExitStatus, Kind, Reply, Request, Stdio};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

use crate::control::{Answered, Exec, Exit, Failure, FailureCode};
use crate::wire::{FrameReader, write_frame, write_json};

use super::connection::Client;
use super::context::{Context, failure};
use super::output::channel;

/// Runs a process and serves its client until it has ended. The process goes on without its client.
pub(super) async fn exec(context: Arc<Context>, mut client: Client, request: Exec) {
    let name = request.exec.clone();
    let Some(exited) = context.register_exec(&name) else {
        let message = format!("exec {name} exists already");
        let failure = Failure::new(FailureCode::Invalid, message);
        return client.answer(Err(failure)).await;
    };
    let tty = request.tty;
    match start(&context, request).await {
        Ok(started) => {
            client.answer(Ok(Answered::Started { pid: started.pid })).await;
            run(&context, client, started, exited, tty).await;
        }
        Err(failure) => client.answer(Err(failure)).await,
    }
    context.end_exec(&name, None);
}

pub(super) struct Started {
    pid: i32,
    input: Option<InputStream>,
    /// Absent if nobody wants any.
    pub(super) outputs: Option<OutputStreams>,
    /// Which of stdout and stderr the streams are.
    stderr_only: bool,
}

/// Starts a process.
pub(super) async fn start(context: &Context, request: Exec) -> Result<Started, Failure> {
    let guest = context.guest()?;
    let (attach, tty) = (request.attach, request.tty);
    let input = attach.stdin.then(|| guest.input());
    // A terminal has output even if nobody looks at it.
    let (stdout, stderr) = (tty || attach.stdout, !tty && attach.stderr);
    let count = usize::from(stdout) + usize::from(stderr);
    let outputs = (count > 0).then(|| guest.outputs(count));
    let id = |index: usize| outputs.as_ref().map(|outputs| outputs.id(index));
    let stdio = Stdio {
        stdin: input.as_ref().map(InputStream::id),
        stdout: stdout.then(|| id(0)).flatten(),
        stderr: stderr.then(|| id(count - 1)).flatten(),
        terminal: tty,
    };
    let seccomp = match request.privileged {
        true => None,
        false => {
            hull_guest::seccomp::extract(&context.launch.spec, &context.launch.machine.arch)
                .map_err(|error| Failure::new(FailureCode::Invalid, error.to_string()))?
                .1
        }
    };
    let request = Request::Exec(Box::new(hull_protocol::Exec {
        container: context.launch.container.clone(),
        exec: request.exec,
        process: request.process,
        user: request.user,
        seccomp,
        stdio,
    }));
    match guest.request(&request).await.map_err(failure)? {
        Reply::Started { pid } => {
            Ok(Started { pid, input, outputs, stderr_only: stderr && !stdout })
        }
        _ => Err(Failure::new(FailureCode::Failed, "unexpected answer of the guest")),
    }
}

async fn run(
    context: &Arc<Context>,
    client: Client,
    started: Started,
    exited: oneshot::Receiver<ExitStatus>,
    tty: bool,
) {
    let Client { reader, writer } = client;
    let Started { input, outputs, stderr_only, .. } = started;
    let mut writer = Some(writer);
    let mut input = input;
    let feeding = feed(reader, &mut input, tty);
    let status = deliver(context, &mut writer, outputs, stderr_only, exited, feeding).await;
    let exit = match status {
        Some(status) => Exit {
            code: status.code(),
            signal: match status {
                ExitStatus::Signal(signal) => Some(signal),
                ExitStatus::Code(_) => None,
            },
            ..Exit::default()
        },
        // The container has ended, and this process with it.
        None => Exit { code: 137, signal: Some(9), ..Exit::default() },
    };
    if let Some(writer) = &mut writer {
        let _ = write_json(writer, Kind::Event, &exit).await;
    }
}

/// Feeds the client's input to the process until the client leaves. A terminal outlives its
/// client, and its client's end of input is a detach; a pipe ends with either.
async fn feed(mut reader: FrameReader<OwnedReadHalf>, input: &mut Option<InputStream>, tty: bool) {
    loop {
        match reader.next().await {
            Ok(Some(frame)) if frame.kind == Kind::Data => {
                if let Some(stream) = input
                    && stream.write(&frame.payload).await.is_err()
                {
                    *input = None;
                }
            }
            Ok(Some(frame)) if frame.kind == Kind::Eof && !tty => *input = None,
            Ok(Some(frame)) if frame.kind != Kind::Eof => {}
            _ => break,
        }
    }
    if !tty {
        *input = None;
    }
}

/// Moves output to the client until process and streams have ended; what nobody reads any more is
/// dropped. Returns how the process ended.
async fn deliver(
    context: &Context,
    writer: &mut Option<OwnedWriteHalf>,
    mut outputs: Option<OutputStreams>,
    stderr_only: bool,
    mut exited: oneshot::Receiver<ExitStatus>,
    feeding: impl Future<Output = ()>,
) -> Option<ExitStatus> {
    tokio::pin!(feeding);
    let mut status: Option<Option<ExitStatus>> = None;
    let mut left = false;
    loop {
        if let (None, Some(status)) = (&outputs, status) {
            return status;
        }
        let piece = tokio::select! {
            piece = next(&mut outputs) => piece,
            ended = &mut exited, if status.is_none() => {
                status = Some(ended.ok());
                continue;
            }
            _ = context.exited(), if status.is_none() => {
                // Its own exit, if it was reported, came before.
                status = Some(exited.try_recv().ok());
                continue;
            }
            () = &mut feeding, if !left => {
                left = true;
                // Closes the connection.
                *writer = None;
                continue;
            }
            // Something that it left behind holds its output open.
            () = tokio::time::sleep(LINGER), if status.is_some() => None,
        };
        let Some((stream, bytes)) = piece else {
            outputs = None;
            continue;
        };
        let stream = if stderr_only { 1 } else { stream };
        let number = channel(stream).number();
        if let Some(open) = writer.as_mut()
            && !hand_over(open, number, &bytes, feeding.as_mut(), &mut left).await
        {
            *writer = None;
        }
    }
}

/// Sends a piece to the client. A client that does not read holds up the process's output, but not
/// its input. `false`: the client has gone.
async fn hand_over(
    writer: &mut OwnedWriteHalf,
    number: u32,
    bytes: &[u8],
    mut feeding: Pin<&mut impl Future<Output = ()>>,
    left: &mut bool,
) -> bool {
    let writing = write_frame(writer, Kind::Data, number, bytes);
    tokio::pin!(writing);
    tokio::select! {
        biased;
        written = &mut writing => written.is_ok(),
        () = &mut feeding, if !*left => {
            *left = true;
            false
        }
    }
}

/// Returns the next piece of output, `None` at the end; waits for ever if there is no output.
async fn next(outputs: &mut Option<OutputStreams>) -> Option<(usize, bytes::Bytes)> {
    let Some(streams) = outputs else {
        return std::future::pending().await;
    };
    loop {
        match streams.next().await {
            Ok(Some(Output::Data { stream, bytes })) => return Some((stream, bytes)),
            Ok(Some(Output::Eof { .. })) => {}
            Ok(None) | Err(_) => return None,
        }
    }
}

/// How long output of a process that has ended may be silent before it counts as ended, too.
const LINGER: Duration = Duration::from_secs(2);
