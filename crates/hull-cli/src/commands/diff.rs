//! `hull diff`.

use super::{Command, Invocation};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "diff",
    arguments: "CONTAINER",
    about: "Inspect changes to files or directories on a container's filesystem",
    aliases: &["container diff", "diff"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let names = invocation.flags().parse(arguments, Arity::Exactly(1))?;
    if names[0].is_empty() {
        return Err(Failure::new("Container name cannot be empty"));
    }
    let path = format!("/containers/{}/changes", encode(&names[0]));
    invocation.wait_for(async {
        let changes = invocation.client().get(&path).await?;
        let mut text = String::new();
        for change in changes.as_array().into_iter().flatten() {
            let kind = match change["Kind"].as_u64() {
                Some(0) => 'C',
                Some(1) => 'A',
                Some(2) => 'D',
                _ => continue,
            };
            let path = change["Path"].as_str().unwrap_or_default();
            text.push_str(&format!("{kind} {path}\n"));
        }
        output::print(text)
    })
}
