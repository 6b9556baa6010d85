//! `hull stop`.

use super::{Command, Invocation, many};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "stop",
    arguments: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Stop one or more running containers",
    aliases: &["container stop", "stop"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    act(invocation, arguments, "stop", "Seconds to wait before killing the container")
}

/// Stops or restarts, as `action` says.
pub(super) fn act(
    invocation: &Invocation<'_>,
    arguments: &[String],
    action: &str,
    help: &'static str,
) -> Result<(), Failure> {
    let mut signal: Option<String> = None;
    let mut timeout: Option<i64> = None;
    let mut time: Option<i64> = None;
    let mut flags = invocation.flags();
    flags.both(&mut signal, 's', "signal", "Signal to send to the container");
    flags.both(&mut timeout, 't', "timeout", help);
    flags.hidden(&mut time, "time");
    let containers = flags.parse(arguments, Arity::AtLeast(1))?;
    if time.is_some() {
        // Where docker's client says it.
        output::line("Flag --time has been deprecated, use --timeout instead")?;
    }
    if timeout.is_some() && time.is_some() {
        return Err(Failure::new("conflicting options: cannot specify both --timeout and --time"));
    }
    let mut query = String::new();
    if let Some(timeout) = timeout.or(time) {
        query.push_str(&format!("&t={timeout}"));
    }
    if let Some(signal) = signal {
        query.push_str(&format!("&signal={}", encode(&signal)));
    }
    let client = invocation.client();
    invocation.wait_for(many::each(&containers, async |container| {
        let path = format!("/containers/{}/{action}?{query}", encode(container));
        client.post(&path, None).await?;
        Ok(container.to_owned())
    }))
}
