//! `hull rmi`.

use http::Method;
use serde_json::Value;

use super::{Command, Invocation};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "rmi",
    arguments: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Remove one or more images",
    aliases: &["image rm", "image remove", "rmi"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut force = false;
    let mut no_prune = false;
    let mut flags = invocation.flags();
    flags.both(&mut force, 'f', "force", "Force removal of the image");
    flags.long(&mut no_prune, "no-prune", "Do not delete untagged parents");
    let images = flags.parse(arguments, Arity::AtLeast(1))?;
    let query = format!("force={}&noprune={}", u8::from(force), u8::from(no_prune));
    invocation.wait_for(async {
        let client = invocation.client();
        let mut errors = Vec::new();
        let mut all_missing = true;
        for image in &images {
            let path = format!("/images/{}?{query}", encode(image));
            match client.json(Method::DELETE, &path, None).await {
                Ok(removed) => print_removed(&removed)?,
                Err(error) => {
                    all_missing &= error.is_not_found();
                    errors.push(output::chain(&error));
                }
            }
        }
        if errors.is_empty() {
            return Ok(());
        }
        let text = errors.join("\n");
        // As docker's client: with --force an image that is not there is no failure.
        if force && all_missing {
            output::error(&text);
            return Ok(());
        }
        Err(Failure::new(text))
    })
}

fn print_removed(removed: &Value) -> Result<(), Failure> {
    for item in removed.as_array().into_iter().flatten() {
        if let Some(id) = item["Deleted"].as_str() {
            output::line(&format!("Deleted: {id}"))?;
        }
        if let Some(name) = item["Untagged"].as_str() {
            output::line(&format!("Untagged: {name}"))?;
        }
    }
    Ok(())
}
