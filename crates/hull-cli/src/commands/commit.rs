//! `hull commit`.

use super::{Command, Invocation, image_name};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::{Arity, Switch};
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "commit",
    arguments: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    about: "Create a new image from a container's changes",
    aliases: &["container commit", "commit"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut author = String::new();
    let mut changes: Vec<String> = Vec::new();
    let mut message = String::new();
    let mut pause = Switch(true);
    let mut flags = invocation.flags();
    flags.both(
        &mut author,
        'a',
        "author",
        "Author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")",
    );
    flags.both(&mut changes, 'c', "change", "Apply Dockerfile instruction to the created image");
    flags.both(&mut message, 'm', "message", "Commit message");
    flags.both(&mut pause, 'p', "pause", "Pause container during commit");
    let operands = flags.parse(arguments, Arity::Between(1, 2))?;
    let mut query = format!(
        "/commit?container={}&comment={}&author={}&pause={}{}",
        encode(&operands[0]),
        encode(&message),
        encode(&author),
        u8::from(pause.0),
        image_name::query(operands.get(1).map(String::as_str))?,
    );
    for change in &changes {
        query.push_str(&format!("&changes={}", encode(change)));
    }
    invocation.wait_for(async {
        let made = invocation.client().post(&query, None).await?;
        output::line(made["Id"].as_str().unwrap_or_default())
    })
}
