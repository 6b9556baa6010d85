//! `hull checkpoint create`.

use serde_json::json;

use super::super::{Command, Invocation};
use super::DIRECTORY;
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "create",
    arguments: "[OPTIONS] CONTAINER CHECKPOINT",
    about: "Create a checkpoint from a running container",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut directory = String::new();
    let mut leave_running = false;
    let mut flags = invocation.flags();
    flags.long(&mut directory, "checkpoint-dir", DIRECTORY);
    flags.long(&mut leave_running, "leave-running", "Leave the container running after checkpoint");
    let names = flags.parse(arguments, Arity::Exactly(2))?;
    let body = json!({
        "CheckpointID": names[1],
        "CheckpointDir": directory,
        "Exit": !leave_running,
    });
    let path = format!("/containers/{}/checkpoints", encode(&names[0]));
    invocation.wait_for(async {
        invocation.client().post(&path, Some(body)).await?;
        output::line(&names[1])?;
        Ok(())
    })
}
