//! `hull volume create`.

use http::Method;
use serde_json::json;

use crate::commands::{Command, Invocation};
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::{Labels, Options};
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "create",
    arguments: "[OPTIONS] [VOLUME]",
    about: "Create a volume",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut driver = "local".to_owned();
    let mut labels = Labels::default();
    let mut name = String::new();
    let mut options = Options::default();
    let mut flags = invocation.flags();
    flags.both(&mut driver, 'd', "driver", "Specify volume driver name");
    flags.long(&mut labels, "label", "Set metadata for a volume");
    flags.hidden(&mut name, "name");
    flags.both(&mut options, 'o', "opt", "Set driver specific options");
    let operands = flags.parse(arguments, Arity::AtMost(1))?;
    if let [operand] = operands.as_slice() {
        if !name.is_empty() {
            return Err(Failure::new(
                "conflicting options: cannot specify a volume-name through both --name and as a \
                 positional arg",
            ));
        }
        operand.clone_into(&mut name);
    }
    let body = json!({
        "Name": name,
        "Driver": driver,
        "Labels": labels.0,
        "DriverOpts": options.0,
    });
    let client = invocation.client();
    invocation.wait_for(async {
        let volume = client.json(Method::POST, "/volumes/create", Some(body)).await?;
        output::line(volume["Name"].as_str().unwrap_or_default())
    })
}
