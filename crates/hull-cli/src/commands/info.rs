//! `hull info`.

use hull_format::bytes_size;
use serde_json::{Value, json};

use super::summary::Summary;
use super::{Command, Invocation};
use crate::error::Failure;

pub(super) const COMMAND: Command = Command {
    name: "info",
    arguments: "[OPTIONS]",
    about: "Display system-wide information",
    aliases: &["system info", "info"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let summary = Summary::parse(invocation, arguments)?;
    invocation.wait_for(async {
        let mut info = invocation.client().get("/info").await?;
        info["ClientInfo"] = json!({
            "Debug": invocation.context.debug,
            "Version": env!("CARGO_PKG_VERSION"),
            "Context": "default",
            "Plugins": [],
            "Warnings": null,
        });
        summary.print(&info, text)
    })
}

fn text(info: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut text = format!(
        "Client:\n Version:    {}\n Debug Mode: {}\n\nServer:\n",
        plain(&info["ClientInfo"]["Version"]),
        plain(&info["ClientInfo"]["Debug"]),
    );
    let mut line = |name: &str, value: &Value| {
        text.push_str(&format!(" {name}: {}\n", plain(value)));
    };
    line("Containers", &info["Containers"]);
    line(" Running", &info["ContainersRunning"]);
    line(" Paused", &info["ContainersPaused"]);
    line(" Stopped", &info["ContainersStopped"]);
    line("Images", &info["Images"]);
    line("Server Version", &info["ServerVersion"]);
    line("Storage Driver", &info["Driver"]);
    for pair in info["DriverStatus"].as_array().into_iter().flatten() {
        line(&format!(" {}", plain(&pair[0])), &pair[1]);
    }
    line("Logging Driver", &info["LoggingDriver"]);
    line("Default Runtime", &info["DefaultRuntime"]);
    line("Kernel Version", &info["KernelVersion"]);
    line("Operating System", &info["OperatingSystem"]);
    line("OSType", &info["OSType"]);
    line("Architecture", &info["Architecture"]);
    line("CPUs", &info["NCPU"]);
    let memory = bytes_size(info["MemTotal"].as_u64().unwrap_or(0));
    line("Total Memory", &json!(memory));
    line("Name", &info["Name"]);
    line("ID", &info["ID"]);
    line("Hull Root Dir", &info["DockerRootDir"]);
    line("Live Restore Enabled", &info["LiveRestoreEnabled"]);
    text
}
