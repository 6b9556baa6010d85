//! `hull system metrics`.

use crate::commands::{Command, Invocation};
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "metrics",
    arguments: "",
    about: "Print what the daemon counts and measures, in Prometheus' text format",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    invocation.flags().parse(arguments, Arity::None)?;
    invocation.wait_for(async { output::print(invocation.client().get_bytes("/metrics").await?) })
}
