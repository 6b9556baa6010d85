//! `hull version`.

use serde_json::{Value, json};

use super::summary::Summary;
use super::{Command, Invocation};
use crate::error::Failure;

pub(super) const COMMAND: Command = Command {
    name: "version",
    arguments: "[OPTIONS]",
    about: "Show the Hull version information",
    aliases: &["system version", "version"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let summary = Summary::parse(invocation, arguments)?;
    invocation.wait_for(async {
        let server = invocation.client().get("/version").await;
        let client = client();
        let (server, problem) = match server {
            Ok(server) => (server, Ok(())),
            // What is known is printed all the same.
            Err(error) => (Value::Null, Err(Failure::from(error))),
        };
        let all = json!({"Client": client, "Server": server});
        match summary.print(&all, text) {
            // A template cannot be filled with what the daemon did not say: that is the failure.
            Err(_) if problem.is_err() => {}
            printed => printed?,
        }
        problem
    })
}

fn client() -> Value {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "Version": env!("CARGO_PKG_VERSION"),
        "ApiVersion": hull_api::VERSION,
        "DefaultAPIVersion": hull_api::VERSION,
        "Os": std::env::consts::OS,
        "Arch": architecture,
    })
}

fn text(all: &Value) -> String {
    let get = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (client, server) = (&all["Client"], &all["Server"]);
    let mut text = format!(
        "Client:\n Version:           {}\n API version:       {}\n OS/Arch:           {}/{}\n",
        get(&client["Version"]),
        get(&client["ApiVersion"]),
        get(&client["Os"]),
        get(&client["Arch"]),
    );
    if server.is_null() {
        return text;
    }
    text.push_str(&format!("\nServer: {}\n", get(&server["Platform"]["Name"])));
    for component in server["Components"].as_array().into_iter().flatten() {
        let details = &component["Details"];
        text.push_str(&format!(
            " {}:\n  Version:          {}\n",
            get(&component["Name"]),
            get(&component["Version"])
        ));
        if details["ApiVersion"].is_string() {
            text.push_str(&format!(
                "  API version:      {} (minimum version {})\n  OS/Arch:          {}/{}\n  \
                 Kernel version:   {}\n",
                get(&details["ApiVersion"]),
                get(&details["MinAPIVersion"]),
                get(&details["Os"]),
                get(&details["Arch"]),
                get(&details["KernelVersion"]),
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_laid_out_as_dockers() {
        let all = json!({
            "Client": {"Version": "0.1.0", "ApiVersion": "1.51", "Os": "linux", "Arch": "amd64"},
            "Server": {
                "Platform": {"Name": "Hull"},
                "Components": [
                    {
                        "Name": "Engine",
                        "Version": "0.1.0",
                        "Details": {
                            "ApiVersion": "1.51", "MinAPIVersion": "1.24", "Os": "linux",
                            "Arch": "amd64", "KernelVersion": "6.12.0",
                        },
                    },
                    {"Name": "qemu", "Version": "10.0.2", "Details": {}},
                ],
            },
        });
        insta::assert_snapshot!(text(&all), @r"
        Client:
         Version:           0.1.0
         API version:       1.51
         OS/Arch:           linux/amd64

        Server: Hull
         Engine:
          Version:          0.1.0
          API version:      1.51 (minimum version 1.24)
          OS/Arch:          linux/amd64
          Kernel version:   6.12.0
         qemu:
          Version:          10.0.2
        ");
    }
}
