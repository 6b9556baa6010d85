//! Moves the init process's output from the guest to log and clients.

use std::sync::Arc;

use hull_guest::{Output, OutputStreams};

use crate::control::Channel;

use super::context::Context;
use super::log::Log;

/// Reads the streams (0: stdout or the terminal, 1: stderr) to their ends.
pub(super) async fn pump(context: Arc<Context>, mut streams: OutputStreams) {
    let mut log = Log::open(&context.launch.log);
    if let Err(error) = &log {
        report(&context, error);
    }
    // A log that cannot be written, on a full disk for example, must not stop the container.
    let mut attempt =
        |context: &Context, write: &mut dyn FnMut(&mut Log) -> std::io::Result<()>| {
            if let Ok(open) = &mut log
                && let Err(error) = write(open)
            {
                report(context, &error);
            }
        };
    loop {
        match streams.next().await {
            Ok(Some(Output::Data { stream, bytes })) => {
                context.mark(|timings| &mut timings.first_output);
                let channel = channel(stream);
                attempt(&context, &mut |log| log.write(channel, &bytes));
                context.hub.output(channel, &bytes).await;
            }
            Ok(Some(Output::Eof { stream })) => {
                attempt(&context, &mut |log| log.end(channel(stream)));
            }
            Ok(None) => return,
            Err(_) => {
                attempt(&context, &mut |log| log.end(Channel::Stdout));
                attempt(&context, &mut |log| log.end(Channel::Stderr));
                return;
            }
        }
    }
}

pub(super) fn channel(stream: usize) -> Channel {
    match stream {
        0 => Channel::Stdout,
        _ => Channel::Stderr,
    }
}

fn report(context: &Context, error: &std::io::Error) {
    tracing::warn!(container = context.launch.container, %error, "cannot write the log");
}
