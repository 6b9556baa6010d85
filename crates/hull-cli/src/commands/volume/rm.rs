//! `hull volume rm`.

use http::Method;

use crate::client::encode;
use crate::commands::{Command, Invocation, many};
use crate::error::Failure;
use crate::flags::Arity;

pub(super) const COMMAND: Command = Command {
    name: "rm",
    arguments: "[OPTIONS] VOLUME [VOLUME...]",
    about: "Remove one or more volumes. You cannot remove a volume that is in use by a container.",
    aliases: &["volume rm", "volume remove"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut force = false;
    let mut flags = invocation.flags();
    flags.both(&mut force, 'f', "force", "Force the removal of one or more volumes");
    let volumes = flags.parse(arguments, Arity::AtLeast(1))?;
    let client = invocation.client();
    invocation.wait_for(many::each(&volumes, async |volume| {
        if volume.is_empty() {
            // Never a request for the list of all volumes.
            return Err(crate::client::ClientError::EmptyName);
        }
        let path = format!("/volumes/{}?force={}", encode(volume), u8::from(force));
        client.json(Method::DELETE, &path, None).await.map(|_| volume.to_owned())
    }))
}
