//! `hull fork`.

use serde_json::json;

use super::{Command, Invocation};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::published_sockets;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "fork",
    arguments: "[OPTIONS] CONTAINER",
    about: "Make containers that go on where a running one is; they share its volumes",
    aliases: &["container fork", "fork"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut count: Option<i64> = None;
    let mut name: Option<String> = None;
    let mut sockets: Vec<String> = Vec::new();
    let mut flags = invocation.flags();
    flags.both(&mut count, 'n', "count", "Number of containers to make (default 1)");
    flags.long(
        &mut name,
        "name",
        "Name of the new container; of several it is followed by -1, -2 ...",
    );
    flags.long(
        &mut sockets,
        "publish-socket",
        "Publish a unix socket of the new container to the host (host_path:container_path); of several \
         the host path is followed by -1, -2 ...",
    );
    let containers = flags.parse(arguments, Arity::Exactly(1))?;
    let body = json!({
        "Count": count.unwrap_or(1),
        "Name": name,
        "PublishSockets": published_sockets(&sockets)?,
    });
    let path = format!("/hull/fork/{}", encode(&containers[0]));
    let client = invocation.client();
    invocation.wait_for(async {
        let made = client.post(&path, Some(body)).await?;
        for warning in made["Warnings"].as_array().into_iter().flatten() {
            output::error(&format!("WARNING: {}", warning.as_str().unwrap_or_default()));
        }
        for id in made["Ids"].as_array().into_iter().flatten().filter_map(|id| id.as_str()) {
            output::line(id)?;
        }
        Ok(())
    })
}
