//! `hull system status`.

use serde_json::{Value, json};

use super::form::Form;
use crate::client::connect;
use crate::commands::{Command, Invocation};
use crate::context::Context;
use crate::error::Failure;

pub(super) const COMMAND: Command = Command {
    name: "status",
    arguments: "[OPTIONS]",
    about: "Show whether the daemon runs; the exit code is 1 if it does not",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let form = Form::parse(invocation, arguments)?;
    let context = invocation.context;
    let running = runs(context);
    invocation.wait_for(async {
        let info = if running { invocation.client().get("/info").await? } else { Value::Null };
        form.print(&status(context, running, &info), table)
    })?;
    if running { Ok(()) } else { Err(Failure::Code(1)) }
}

/// Asks without starting a daemon.
pub(super) fn runs(context: &Context) -> bool {
    connect(&context.socket).is_ok()
}

fn status(context: &Context, running: bool, info: &Value) -> Value {
    let pid = std::fs::read_to_string(context.home.join("daemon.pid")).ok();
    let pid = pid.and_then(|text| text.trim().parse::<u32>().ok()).filter(|_| running);
    json!({
        "Running": running,
        "Pid": pid,
        "Socket": context.socket.to_string_lossy(),
        "Home": context.home.to_string_lossy(),
        "Version": info["ServerVersion"],
        "Containers": info["Containers"],
        "ContainersRunning": info["ContainersRunning"],
        "Images": info["Images"],
    })
}

fn table(status: &Value) -> String {
    let mut text = String::new();
    for (name, value) in status.as_object().into_iter().flatten() {
        let value = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            other => other.to_string(),
        };
        text.push_str(&format!("{name:<18} {value}\n"));
    }
    text
}
