//! `hull network rm`.

use http::Method;

use crate::commands::{Command, Invocation};
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "rm",
    arguments: "NETWORK [NETWORK...]",
    about: "Remove one or more networks",
    aliases: &["network rm", "network remove"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut force = false;
    let mut flags = invocation.flags();
    flags.both(&mut force, 'f', "force", "Do not error if the network does not exist");
    let names = flags.parse(arguments, Arity::AtLeast(1))?;
    invocation.wait_for(async {
        let mut failed = false;
        for name in &names {
            let path = match super::path(name) {
                Ok(path) => path,
                Err(failure) => {
                    output::error(&failure.to_string());
                    failed = true;
                    continue;
                }
            };
            match invocation.client().json(Method::DELETE, &path, None).await {
                Ok(_) => output::line(name)?,
                Err(error) if force && error.is_not_found() => {}
                Err(error) => {
                    output::error(&output::chain(&error));
                    failed = true;
                }
            }
        }
        if failed {
            // Docker's client says it so.
            output::error("exit status 1");
            return Err(Failure::Code(1));
        }
        Ok(())
    })
}
