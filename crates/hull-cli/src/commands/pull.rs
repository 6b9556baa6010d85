//! `hull pull`.

use http::Method;
use hull_registry::{Reference, ReferenceError};

use super::progress::{self, Show};
use super::{Command, Invocation, registry_auth};
use crate::client::{Client, encode, full, request};
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "pull",
    arguments: "[OPTIONS] NAME[:TAG|@DIGEST]",
    about: "Download an image from a registry",
    aliases: &["image pull", "pull"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut all_tags = false;
    let mut platform = String::new();
    let mut quiet = false;
    let mut flags = invocation.flags();
    flags.both(&mut all_tags, 'a', "all-tags", "Download all tagged images in the repository");
    flags.long(&mut platform, "platform", "Set platform if server is multi-platform capable");
    flags.both(&mut quiet, 'q', "quiet", "Suppress verbose output");
    let names = flags.parse(arguments, Arity::Exactly(1))?;
    let written = parse(&names[0])?;
    if all_tags && (written.tag().is_some() || written.digest().is_some()) {
        return Err(Failure::new("tag can't be used with --all-tags/-a"));
    }
    let reference = match all_tags {
        true => written.clone(),
        false => written.clone().with_default_tag(),
    };
    if !quiet && written != reference {
        output::line("Using default tag: latest")?;
    }
    invocation.wait_for(async {
        let show = if quiet { Show::Nothing } else { Show::Stdout };
        pull(&invocation.client(), &reference, &platform, show).await?;
        output::line(&reference.to_string())
    })
}

/// Parses the name of an image, with docker's words where it is none.
pub(super) fn parse(name: &str) -> Result<Reference, Failure> {
    Reference::parse(name).map_err(|error| match error {
        // Docker's client says which part it means, its daemon does not.
        ReferenceError::Uppercase => Failure::new(format!(
            "invalid reference format: repository name ({}) must be lowercase",
            remote_name(name)
        )),
        error => Failure::new(output::chain(&error)),
    })
}

/// The part of a name that the registry sees, as docker's client has it in its error.
fn remote_name(name: &str) -> String {
    let is_domain = |first: &str| {
        first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first
    };
    let remote = match name.split_once('/') {
        Some((first, rest)) if is_domain(first) => rest.to_owned(),
        Some(_) => name.to_owned(),
        None => format!("library/{name}"),
    };
    remote.split([':', '@']).next().unwrap_or_default().to_owned()
}

/// Pulls an image and shows how it goes.
pub(super) async fn pull(
    client: &Client<'_>,
    reference: &Reference,
    platform: &str,
    show: Show,
) -> Result<(), Failure> {
    let mut path = format!("/images/create?fromImage={}", encode(&reference.familiar_name()));
    // Without either, everything that has a tag is asked for.
    if reference.tag().is_some() || reference.digest().is_some() {
        path.push_str(&format!("&tag={}", encode(&reference.tag_or_digest())));
    }
    if !platform.is_empty() {
        path.push_str(&format!("&platform={}", encode(platform)));
    }
    let auth = registry_auth::header(client.context(), reference).await?;
    let make = || {
        let request = request(Method::POST, &path);
        match &auth {
            Some(auth) => request.header("X-Registry-Auth", auth).body(full("")),
            None => request.body(full("")),
        }
    };
    progress::show(client.ask(make).await?, show).await
}
