//! `hull tag`.

use super::{Command, Invocation, pull};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;

pub(super) const COMMAND: Command = Command {
    name: "tag",
    arguments: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    about: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    aliases: &["image tag", "tag"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let names = invocation.flags().parse(arguments, Arity::Exactly(2))?;
    let target = pull::parse(&names[1]).map_err(|failure| {
        Failure::new(format!(
            "Error parsing reference: {:?} is not a valid repository/tag: {failure}",
            names[1]
        ))
    })?;
    let target = target.with_default_tag();
    let path = format!(
        "/images/{}/tag?repo={}&tag={}",
        encode(&names[0]),
        encode(&target.familiar_name()),
        encode(target.tag().unwrap_or_default())
    );
    invocation.wait_for(async {
        invocation.client().post(&path, None).await?;
        Ok(())
    })
}
