//! `hull run`.

use std::time::Duration;

use http::Method;

use super::attachment::{Attachment, Wait};
use super::creation::{self, Pull};
use super::{Command, Invocation, timings};
use crate::client::{Client, encode};
use crate::error::Failure;
use crate::flags::{Arity, Switch};
use crate::options::{Attach, ContainerOptions};
use crate::output;
use crate::terminal::{End, check_tty};

pub(super) const COMMAND: Command = Command {
    name: "run",
    arguments: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    about: "Create and run a new container from an image",
    aliases: &["container run", "run"],
    run,
};

/// What `run` has beyond `create`.
struct Flags {
    detach: bool,
    detach_keys: String,
    pull: String,
    quiet: bool,
    sig_proxy: Switch,
    timings: bool,
}

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut options = ContainerOptions::default();
    let mut run = Flags {
        detach: false,
        detach_keys: String::new(),
        pull: "missing".into(),
        quiet: false,
        sig_proxy: Switch(true),
        timings: false,
    };
    let mut flags = invocation.flags();
    flags.both(
        &mut run.detach,
        'd',
        "detach",
        "Run container in background and print container ID",
    );
    flags.long(
        &mut run.detach_keys,
        "detach-keys",
        "Override the key sequence for detaching a container",
    );
    flags.long(
        &mut run.pull,
        "pull",
        "Pull image before running (\"always\", \"missing\", \"never\")",
    );
    flags.both(&mut run.quiet, 'q', "quiet", "Suppress the pull output");
    flags.long(&mut run.sig_proxy, "sig-proxy", "Proxy received signals to the process");
    flags.long(&mut run.timings, "timings", "Print where the time of the start went");
    options.register(&mut flags);
    let operands = flags.parse(arguments, Arity::AtLeast(1))?;
    let before = |failure: Failure| failure.of_run(&invocation.usage.path);

    let pull =
        Pull::parse(&run.pull).map_err(|failure| failure.of_flags(&invocation.usage.path))?;
    let streams = if run.detach {
        if options.attach.given {
            return Err(Failure::new(
                "conflicting options: cannot specify both --attach and --detach",
            ));
        }
        Attach::default()
    } else {
        options.attached()
    };
    let (image, command) = (&operands[0], &operands[1..]);
    let body = options
        .body(image, command, &streams)
        .map_err(|failure| failure.of_flags(&invocation.usage.path))?;
    check_tty(streams.stdin, options.tty)?;
    invocation.wait_for(async {
        let client = invocation.client();
        let id = creation::create(&client, &options, (image, body), pull, run.quiet)
            .await
            .map_err(before)?;
        if run.detach {
            let started = start(&client, &id, run.timings).await.map_err(before);
            // As docker: there is a container, whether it runs or not.
            output::line(&id)?;
            return started;
        }
        let attachment = Attachment {
            id,
            streams,
            tty: options.tty,
            detach_keys: run.detach_keys.clone(),
            sig_proxy: run.sig_proxy.0,
        };
        attached(&client, attachment, &options, &run).await.map_err(|failure| match failure {
            Unstarted(failure) => before(failure),
            Other(failure) => failure,
        })
    })
}

use Stage::{Other, Unstarted};

/// How far a container came before something failed.
enum Stage {
    Unstarted(Failure),
    Other(Failure),
}

/// Runs the container with the user's streams, and ends with its exit code.
async fn attached(
    client: &Client<'_>,
    attachment: Attachment,
    options: &ContainerOptions,
    run: &Flags,
) -> Result<(), Stage> {
    let condition = if options.remove { "removed" } else { "next-exit" };
    let connected = tokio::try_join!(
        attachment.connect(client),
        Wait::register(client, &attachment.id, condition),
    );
    let (hijacked, wait) = match connected {
        Ok(connected) => connected,
        Err(error) => {
            if options.remove {
                discard(client, &attachment.id, true).await;
            }
            return Err(Unstarted(error.into()));
        }
    };
    let mut started = false;
    let begin = async {
        start(client, &attachment.id, run.timings).await?;
        started = true;
        Ok(())
    };
    let end = attachment.run(client, hijacked, begin).await;
    match end {
        Ok(End::Detached) => Ok(()),
        Ok(End::Finished) => match wait.code().await {
            Ok(0) => Ok(()),
            Ok(code) => Err(Other(Failure::Code(code))),
            Err(failure) => Err(Other(failure)),
        },
        Err(failure) if started => Err(Other(failure)),
        Err(failure) => {
            if options.remove {
                // The daemon removes it: the name is free when this command has ended.
                let removed = tokio::time::timeout(REMOVAL, wait.code()).await;
                if !matches!(removed, Ok(Ok(_))) {
                    // The daemon has gone. One that has started after all removes itself.
                    discard(client, &attachment.id, false).await;
                }
            }
            Err(Unstarted(failure))
        }
    }
}

async fn start(client: &Client<'_>, id: &str, timings: bool) -> Result<(), Failure> {
    let query = if timings { "?timings=1" } else { "" };
    let path = format!("/containers/{}/start{query}", encode(id));
    let response = client.send(Method::POST, &path, None).await?;
    if timings {
        timings::show(response.headers().get("Hull-Timings"));
    }
    Ok(())
}

/// Removes a container that was never started; with `force` even if it was.
async fn discard(client: &Client<'_>, id: &str, force: bool) {
    let path = format!("/containers/{}?force={}&v=1", encode(id), u8::from(force));
    // The failure that led here is the one to report.
    let _ = client.json(Method::DELETE, &path, None).await;
}

/// Longer than a daemon takes to remove a container that did not start.
const REMOVAL: Duration = Duration::from_secs(10);
