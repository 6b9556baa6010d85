//! `hull system doctor`.

use hull_format::align;
use serde_json::Value;

use super::form::Form;
use crate::commands::{Command, Invocation};
use crate::error::Failure;

pub(super) const COMMAND: Command = Command {
    name: "doctor",
    arguments: "[OPTIONS]",
    about: "Check what this host has and lacks; the exit code is 1 if containers cannot run",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let form = Form::parse(invocation, arguments)?;
    invocation.wait_for(async {
        let checks = invocation.client().get("/hull/doctor").await?;
        form.print(&checks, table)?;
        let bad = checks.as_array().into_iter().flatten().any(|check| check["Outcome"] == "bad");
        if bad { Err(Failure::Code(1)) } else { Ok(()) }
    })
}

fn table(checks: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut rows = "CHECK\tSTATE\tFOUND\n".to_owned();
    let mut hints = String::new();
    for check in checks.as_array().into_iter().flatten() {
        let state = match check["Outcome"].as_str() {
            Some("good") => "ok",
            Some("warning") => "warning",
            _ => "missing",
        };
        rows.push_str(&format!("{}\t{state}\t{}\n", text(&check["Name"]), text(&check["Found"])));
        if let Some(hint) = check["Hint"].as_str() {
            hints.push_str(&format!("hint: {}: {hint}\n", text(&check["Name"])));
        }
    }
    let table = align(&rows);
    if hints.is_empty() { table } else { format!("{table}\n{hints}") }
}
