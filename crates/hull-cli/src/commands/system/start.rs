//! `hull system start`.

use crate::client::{Started, start};
use crate::commands::{Command, Invocation};
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "start",
    arguments: "",
    about: "Start the daemon (other commands do it when they need it)",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    invocation.flags().parse(arguments, Arity::None)?;
    let context = invocation.context;
    if context.explicit {
        return Err(Failure::with_hint(
            format!("the daemon at {} is not started by hull", context.socket.display()),
            "choose a daemon of your own with HULL_HOME, and unset HULL_HOST and DOCKER_HOST",
        ));
    }
    invocation.wait_for(async {
        match start(context).await? {
            Started::Already => output::line("The daemon runs already."),
            Started::Now => output::line("The daemon has been started."),
        }
    })
}
