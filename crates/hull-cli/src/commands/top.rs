//! `hull top`.

use hull_format::align;
use serde_json::Value;

use super::{Command, Invocation};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "top",
    arguments: "CONTAINER [ps OPTIONS]",
    about: "Display the running processes of a container",
    aliases: &["container top", "top"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut flags = invocation.flags();
    flags.stop_at_argument();
    let operands = flags.parse(arguments, Arity::AtLeast(1))?;
    let mut path = format!("/containers/{}/top", encode(&operands[0]));
    if operands.len() > 1 {
        path.push_str(&format!("?ps_args={}", encode(&operands[1..].join(" "))));
    }
    invocation.wait_for(async {
        let top = invocation.client().get(&path).await?;
        let rows: String = std::iter::once(&top["Titles"])
            .chain(top["Processes"].as_array().into_iter().flatten())
            .map(line)
            .collect();
        output::print(align(&rows))
    })
}

fn line(row: &Value) -> String {
    let cells = row.as_array().into_iter().flatten();
    let cells: Vec<&str> = cells.map(|cell| cell.as_str().unwrap_or_default()).collect();
    cells.join("\t") + "\n"
}
