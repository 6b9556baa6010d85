//! `hull network disconnect`.

use serde_json::json;

use crate::commands::{Command, Invocation};
use crate::error::Failure;
use crate::flags::Arity;

pub(super) const COMMAND: Command = Command {
    name: "disconnect",
    arguments: "[OPTIONS] NETWORK CONTAINER",
    about: "Disconnect a container from a network",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut force = false;
    let mut flags = invocation.flags();
    flags.both(&mut force, 'f', "force", "Force the container to disconnect from a network");
    let operands = flags.parse(arguments, Arity::Exactly(2))?;
    invocation.wait_for(async {
        let path = format!("{}/disconnect", super::path(&operands[0])?);
        let body = json!({"Container": super::given("container", &operands[1])?, "Force": force});
        invocation.client().post(&path, Some(body)).await?;
        Ok(())
    })
}
