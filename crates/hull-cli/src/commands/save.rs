//! `hull save`.

use super::{Command, Invocation, archive};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;

pub(super) const COMMAND: Command = Command {
    name: "save",
    arguments: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Save one or more images to a tar archive (streamed to STDOUT by default)",
    aliases: &["image save", "save"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut output = String::new();
    let mut flags = invocation.flags();
    flags.both(&mut output, 'o', "output", "Write to a file, instead of STDOUT");
    let images = flags.parse(arguments, Arity::AtLeast(1))?;
    archive::check(&output, "failed to save image")?;
    let names: Vec<_> = images.iter().map(|name| format!("names={}", encode(name))).collect();
    let path = format!("/images/get?{}", names.join("&"));
    invocation.wait_for(async { archive::fetch(&invocation.client(), &path, &output).await })
}
