//! `hull system stop`.

use crate::commands::{Command, Invocation};
use crate::daemon::Lock;
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

use super::status::runs;

pub(super) const COMMAND: Command = Command {
    name: "stop",
    arguments: "[OPTIONS]",
    about: "Stop the running containers, each with its stop signal and timeout, then the daemon",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut keep = false;
    let mut flags = invocation.flags();
    flags.long(&mut keep, "keep", "Leave containers running");
    flags.parse(arguments, Arity::None)?;
    let context = invocation.context;
    if !runs(context) {
        end_networks(invocation)?;
        return output::line("The daemon does not run.");
    }
    invocation.wait_for(async {
        let path = format!("/hull/stop?keep={}", u8::from(keep));
        let stopped = invocation.client().post(&path, None).await?;
        for id in stopped["Stopped"].as_array().into_iter().flatten() {
            output::line(id.as_str().unwrap_or_default())?;
        }
        Ok(())
    })?;
    // Its last work is done when it lets go of its lock.
    if !context.explicit {
        Lock::wait_until_free(context)?;
    }
    end_networks(invocation)?;
    output::line("The daemon has been stopped.")
}

/// Ends the network service, unless containers run on that need it.
fn end_networks(invocation: &Invocation<'_>) -> Result<(), Failure> {
    invocation.wait_for(async {
        hull_network::client::quit(&invocation.context.home).await;
        Ok(())
    })
}
