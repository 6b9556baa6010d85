//! `hull system kernel`: the kernel that containers' machines boot.

use http::Method;
use serde_json::{Value, json};

use crate::commands::group::{Group, Member};
use crate::commands::{Command, Invocation};
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const GROUP: Group = Group {
    name: "kernel",
    about: "Show or replace the kernel of containers' machines",
    commands: &[(&["set"], Member::Command(&SET)), (&["show"], Member::Command(&SHOW))],
};

const SET: Command = Command {
    name: "set",
    arguments: "--binary PATH | --default",
    about: "Choose the kernel of new containers",
    aliases: &[],
    run: set,
};

const SHOW: Command = Command {
    name: "show",
    arguments: "",
    about: "Show the kernel of new containers",
    aliases: &[],
    run: show,
};

fn set(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut binary: Option<String> = None;
    let mut default = false;
    let mut flags = invocation.flags();
    flags.long(&mut binary, "binary", "Kernel image; Hull keeps a copy of it");
    flags.long(&mut default, "default", "Go back to the kernel that Hull came with");
    flags.parse(arguments, Arity::None)?;
    let path = match (binary, default) {
        (Some(path), false) => json!(std::path::absolute(path)?.to_string_lossy()),
        (None, true) => Value::Null,
        _ => {
            return Err(Failure::flag(
                &invocation.usage,
                "give one of --binary PATH and --default",
            ));
        }
    };
    invocation.wait_for(async {
        let body = json!({"Path": path});
        let kernel = invocation.client().json(Method::PUT, "/hull/kernel", Some(body)).await?;
        output::print(text(&kernel))
    })
}

fn show(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    invocation.flags().parse(arguments, Arity::None)?;
    invocation
        .wait_for(async { output::print(text(&invocation.client().get("/hull/kernel").await?)) })
}

fn text(kernel: &Value) -> String {
    let get = |name: &str| kernel[name].as_str().unwrap_or("unknown").to_owned();
    let origin = if kernel["Replaced"] == true { "set by the user" } else { "Hull's own" };
    format!(
        "Path:          {}\nOrigin:        {origin}\nVersion:       {}\nArchitecture:  {}\n\
         Size:          {} bytes\n",
        get("Path"),
        get("Version"),
        get("Architecture"),
        kernel["Size"]
    )
}
