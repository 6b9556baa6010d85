//! `hull attach`.

use super::attachment::{Attachment, Wait};
use super::{Command, Invocation};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::{Arity, Switch};
use crate::options::Attach;
use crate::terminal::{End, check_tty, have_redrawn};

pub(super) const COMMAND: Command = Command {
    name: "attach",
    arguments: "[OPTIONS] CONTAINER",
    about: "Attach local standard input, output, and error streams to a running container",
    aliases: &["container attach", "attach"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut detach_keys = String::new();
    let mut no_stdin = false;
    let mut sig_proxy = Switch(true);
    let mut flags = invocation.flags();
    flags.long(
        &mut detach_keys,
        "detach-keys",
        "Override the key sequence for detaching a container",
    );
    flags.long(&mut no_stdin, "no-stdin", "Do not attach STDIN");
    flags.long(&mut sig_proxy, "sig-proxy", "Proxy all received signals to the process");
    let containers = flags.parse(arguments, Arity::Exactly(1))?;
    invocation.wait_for(async {
        let client = invocation.client();
        let about = client.get(&format!("/containers/{}/json", encode(&containers[0]))).await?;
        let is = |object: &str, name: &str| about[object][name].as_bool().unwrap_or(false);
        if !is("State", "Running") {
            return Err(Failure::new("You cannot attach to a stopped container, start it first"));
        }
        if is("State", "Paused") {
            return Err(Failure::new("You cannot attach to a paused container, unpause it first"));
        }
        let tty = is("Config", "Tty");
        let stdin = !no_stdin && is("Config", "OpenStdin");
        check_tty(stdin, tty)?;
        let attachment = Attachment {
            id: about["Id"].as_str().unwrap_or(&containers[0]).to_owned(),
            streams: Attach { given: true, stdin, stdout: true, stderr: true },
            tty,
            detach_keys,
            sig_proxy: sig_proxy.0 && !tty,
        };
        // Registered before the streams are connected: an end between the two is not missed.
        let wait = Wait::register(&client, &attachment.id, "not-running").await?;
        let hijacked = attachment.connect(&client).await?;
        if tty {
            // What it has drawn before was for others.
            let path = format!("/containers/{}", encode(&attachment.id));
            have_redrawn(&client, &path).await;
        }
        match attachment.run(&client, hijacked, async { Ok(()) }).await? {
            End::Detached => Err(Failure::new("read escape sequence")),
            End::Finished => match wait.code().await? {
                0 => Ok(()),
                code => Err(Failure::Code(code)),
            },
        }
    })
}
