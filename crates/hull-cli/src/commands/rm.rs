//! `hull rm`.

use http::Method;

use super::{Command, Invocation, many};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "rm",
    arguments: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Remove one or more containers",
    aliases: &["container rm", "container remove", "rm"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut force = false;
    let mut link = false;
    let mut volumes = false;
    let mut flags = invocation.flags();
    flags.both(&mut force, 'f', "force", "Force the removal of a running container (uses SIGKILL)");
    flags.both(&mut link, 'l', "link", "Remove the specified link");
    flags.both(
        &mut volumes,
        'v',
        "volumes",
        "Remove anonymous volumes associated with the container",
    );
    let containers = flags.parse(arguments, Arity::AtLeast(1))?;
    let query =
        format!("force={}&v={}&link={}", u8::from(force), u8::from(volumes), u8::from(link));
    let client = invocation.client();
    invocation.wait_for(many::each(&containers, async |container| {
        let name = container.trim_matches('/');
        if name.is_empty() {
            // Never a request for the list of all containers.
            return Err(crate::client::ClientError::EmptyName);
        }
        let path = format!("/containers/{}?{query}", encode(name));
        match client.json(Method::DELETE, &path, None).await {
            Ok(_) => Ok(container.to_owned()),
            Err(error) if force && error.is_not_found() => {
                // Gone is what was asked for.
                output::error(&output::chain(&error));
                Ok(String::new())
            }
            Err(error) => Err(error),
        }
    }))
}
