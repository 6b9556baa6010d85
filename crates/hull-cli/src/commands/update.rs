//! `hull update`.

use serde_json::{Value, json};

use super::{Command, Invocation, many};
use crate::client::{Client, ClientError, encode};
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::{Limits, Sparse, restart_policy};
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "update",
    arguments: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Update configuration of one or more containers",
    aliases: &["container update", "update"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut limits = Limits::default();
    let mut restart = String::new();
    let mut flags = invocation.flags();
    limits.register(&mut flags);
    flags.long(&mut restart, "restart", "Restart policy to apply when a container exits");
    let containers = flags.parse(arguments, Arity::AtLeast(1))?;
    let mut body = Sparse::default();
    limits.fill(&mut body);
    if !restart.is_empty() {
        body.put("RestartPolicy", restart_policy(&restart)?);
    }
    if body.0.is_empty() {
        return Err(Failure::new("you must provide one or more flags when using this command"));
    }
    let body = Value::Object(body.0);
    invocation.wait_for(async {
        let client = invocation.client();
        many::each(&containers, |name| update(client.clone(), name, &body)).await
    })
}

async fn update(client: Client<'_>, name: &str, body: &Value) -> Result<String, ClientError> {
    let path = format!("/containers/{}/update", encode(name));
    let answer = client.post(&path, Some(json!(body))).await?;
    for warning in answer["Warnings"].as_array().into_iter().flatten() {
        output::error(warning.as_str().unwrap_or_default());
    }
    Ok(name.to_owned())
}
