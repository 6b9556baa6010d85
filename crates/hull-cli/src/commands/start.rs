//! `hull start`.

use super::attachment::{Attachment, Wait};
use super::{Command, Invocation};
use crate::client::{Client, encode};
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::Attach;
use crate::output;
use crate::terminal::{End, check_tty};

pub(super) const COMMAND: Command = Command {
    name: "start",
    arguments: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Start one or more stopped containers",
    aliases: &["container start", "start"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut attach = false;
    let mut interactive = false;
    let mut detach_keys = String::new();
    let mut checkpoint = String::new();
    let mut checkpoint_dir = String::new();
    let mut flags = invocation.flags();
    flags.long(&mut checkpoint, "checkpoint", "Restore from this checkpoint");
    flags.long(&mut checkpoint_dir, "checkpoint-dir", "Use a custom checkpoint storage directory");
    flags.both(&mut attach, 'a', "attach", "Attach STDOUT/STDERR and forward signals");
    flags.long(
        &mut detach_keys,
        "detach-keys",
        "Override the key sequence for detaching a container",
    );
    flags.both(&mut interactive, 'i', "interactive", "Attach container's STDIN");
    let containers = flags.parse(arguments, Arity::AtLeast(1))?;
    let client = invocation.client();
    let query = match checkpoint.as_str() {
        "" => String::new(),
        name => {
            let dir = encode(&checkpoint_dir);
            format!("?checkpoint={}&checkpoint-dir={dir}", encode(name))
        }
    };
    if !query.is_empty() && containers.len() > 1 {
        return Err(Failure::new("you cannot restore multiple containers at once"));
    }
    invocation.wait_for(async {
        match containers.as_slice() {
            [container] if attach || interactive => {
                attached(&client, container, interactive, detach_keys, &query).await
            }
            _ if attach || interactive => {
                Err(Failure::new("you cannot start and attach multiple containers at once"))
            }
            containers => all(&client, containers, &query).await,
        }
    })
}

async fn all(client: &Client<'_>, containers: &[String], query: &str) -> Result<(), Failure> {
    let mut failed = Vec::new();
    for container in containers {
        let path = format!("/containers/{}/start{query}", encode(container));
        match client.post(&path, None).await {
            Ok(_) => {
                warn(client, container, query).await?;
                output::line(container)?;
            }
            Err(error) => {
                output::error(&output::chain(&error));
                if let Some(hint) = error.hint() {
                    output::hint(hint);
                }
                failed.push(container.as_str());
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let text = format!("Error: failed to start containers: {}", failed.join(", "));
    Err(Failure::new(text))
}

/// Says what is not as it was when the checkpoint was made that `query` names.
async fn warn(client: &Client<'_>, container: &str, query: &str) -> Result<(), Failure> {
    if query.is_empty() {
        return Ok(());
    }
    let about = client.get(&format!("/containers/{}/json", encode(container))).await?;
    let warnings = about["Hull"]["Start"]["Warnings"].as_array();
    for warning in warnings.into_iter().flatten().filter_map(|warning| warning.as_str()) {
        output::error(&format!("WARNING: {warning}"));
    }
    Ok(())
}

async fn attached(
    client: &Client<'_>,
    container: &str,
    interactive: bool,
    detach_keys: String,
    query: &str,
) -> Result<(), Failure> {
    let about = client.get(&format!("/containers/{}/json", encode(container))).await?;
    let config = &about["Config"];
    let is = |name: &str| config[name].as_bool().unwrap_or(false);
    let stdin = interactive && is("OpenStdin");
    check_tty(stdin, is("Tty"))?;
    let attachment = Attachment {
        id: about["Id"].as_str().unwrap_or(container).to_owned(),
        streams: Attach { given: true, stdin, stdout: true, stderr: true },
        tty: is("Tty"),
        detach_keys,
        sig_proxy: !is("Tty"),
    };
    let removes_itself = about["HostConfig"]["AutoRemove"].as_bool().unwrap_or(false);
    let condition = if removes_itself { "removed" } else { "next-exit" };
    let (hijacked, wait) = tokio::try_join!(
        attachment.connect(client),
        Wait::register(client, &attachment.id, condition),
    )?;
    let path = format!("/containers/{}/start{query}", encode(&attachment.id));
    let begin = async {
        client.post(&path, None).await?;
        warn(client, &attachment.id, query).await
    };
    match attachment.run(client, hijacked, begin).await? {
        End::Detached => Ok(()),
        End::Finished => match wait.code().await? {
            0 => Ok(()),
            code => Err(Failure::Code(code)),
        },
    }
}
