//! `hull exec`.

use serde_json::{Value, json};

use super::{Command, Invocation};
use crate::client::{Client, encode};
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::{Env, read_env_file};
use crate::terminal::{
    DetachKeys, End, RawMode, Session, check_tty, ends_program, follow_size, size,
};

pub(super) const COMMAND: Command = Command {
    name: "exec",
    arguments: "[OPTIONS] CONTAINER COMMAND [ARG...]",
    about: "Execute a command in a running container",
    aliases: &["container exec", "exec"],
    run,
};

#[derive(Default)]
struct Flags {
    detach: bool,
    detach_keys: String,
    env: Env,
    env_file: Vec<String>,
    interactive: bool,
    privileged: bool,
    tty: bool,
    user: String,
    workdir: String,
}

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut exec = Flags::default();
    let mut flags = invocation.flags();
    flags.stop_at_argument();
    flags.both(&mut exec.detach, 'd', "detach", "Detached mode: run command in the background");
    flags.long(
        &mut exec.detach_keys,
        "detach-keys",
        "Override the key sequence for detaching a container",
    );
    flags.both(&mut exec.env, 'e', "env", "Set environment variables");
    flags.long(&mut exec.env_file, "env-file", "Read in a file of environment variables");
    flags.both(&mut exec.interactive, 'i', "interactive", "Keep STDIN open even if not attached");
    flags.long(&mut exec.privileged, "privileged", "Give extended privileges to the command");
    flags.both(&mut exec.tty, 't', "tty", "Allocate a pseudo-TTY");
    flags.both(
        &mut exec.user,
        'u',
        "user",
        "Username or UID (format: \"<name|uid>[:<group|gid>]\")",
    );
    flags.both(&mut exec.workdir, 'w', "workdir", "Working directory inside the container");
    let operands = flags.parse(arguments, Arity::AtLeast(2))?;
    let (container, command) = (&operands[0], &operands[1..]);
    let body = exec.body(command)?;
    invocation.wait_for(async {
        let client = invocation.client();
        let about = format!("/containers/{}", encode(container));
        if !exec.detach && check_tty(exec.interactive, exec.tty).is_err() {
            // A container that there is not is the first thing to say.
            client.get(&format!("{about}/json")).await?;
            check_tty(exec.interactive, exec.tty)?;
        }
        let created = client.post(&format!("{about}/exec"), Some(body)).await?;
        let id = created["Id"].as_str().unwrap_or_default();
        let path = format!("/exec/{}", encode(id));
        if exec.detach {
            let body = json!({"Detach": true, "Tty": exec.tty});
            client.post(&format!("{path}/start"), Some(body)).await?;
            return Ok(());
        }
        exec.attached(&client, &path).await
    })
}

impl Flags {
    fn body(&self, command: &[String]) -> Result<Value, Failure> {
        let mut env = Vec::new();
        for path in &self.env_file {
            env.extend(read_env_file(path)?);
        }
        env.extend(self.env.0.iter().cloned());
        let attach = !self.detach;
        Ok(json!({
            "Cmd": command,
            "Env": env,
            "User": self.user,
            "WorkingDir": self.workdir,
            "Tty": self.tty,
            "Privileged": self.privileged,
            "AttachStdin": attach && self.interactive,
            "AttachStdout": attach,
            "AttachStderr": attach,
            "DetachKeys": self.detach_keys,
        }))
    }

    async fn attached(&self, client: &Client<'_>, path: &str) -> Result<(), Failure> {
        let size = size().filter(|_| self.tty);
        let body = json!({"Detach": false, "Tty": self.tty, "ConsoleSize": size});
        let hijacked = client.hijack(&format!("{path}/start"), Some(body)).await?;
        let raw = (self.interactive && self.tty).then(RawMode::enter).flatten();
        let keys = match (&raw, self.detach_keys.as_str()) {
            (None, _) => None,
            (Some(_), "") => Some(DetachKeys::default()),
            (Some(_), keys) => Some(DetachKeys::parse(keys).map_err(Failure::new)?),
        };
        let session = Session { stdin: self.interactive, tty: self.tty, detach_keys: keys };
        let resize = async {
            if self.tty {
                follow_size(client, path).await;
            }
            std::future::pending::<()>().await;
        };
        let end = tokio::select! {
            biased;
            end = session.run(hijacked) => end?,
            () = resize => return Ok(()),
            // Docker's client passes no signals on to an exec.
            number = ends_program() => {
                return Err(Failure::Code(128 + u8::try_from(number).unwrap_or(0)));
            }
        };
        drop(raw);
        if end == End::Detached {
            return Err(Failure::new("read escape sequence"));
        }
        let exec = client.get(&format!("{path}/json")).await?;
        // Exit codes have 8 bits.
        match exec["ExitCode"].as_i64().unwrap_or(0) & 0xff {
            0 => Ok(()),
            code => Err(Failure::Code(code as u8)),
        }
    }
}
