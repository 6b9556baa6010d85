//! Execs: what to run, how to start it, what became of it.

use hull_engine::{ExecConfig, ExecInspect, ExecStartOptions};
use serde_json::{Value, json};

use super::fields::Fields;
use crate::error::ApiError;

/// Reads the body of `POST /containers/{id}/exec`.
///
/// # Errors
/// A field of the wrong type, or one that Hull cannot honour.
pub(crate) fn exec_config(body: Value) -> Result<ExecConfig, ApiError> {
    let mut fields = Fields::new("", body)?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let config = ExecConfig {
        cmd: match fields.value("Cmd") {
            Value::String(word) => vec![word],
            Value::Null => Vec::new(),
            list => serde_json::from_value(list)
                .map_err(|error| ApiError::bad_request(format!("invalid JSON: Cmd: {error}")))?,
        },
        env: fields.take("Env")?,
        user: given(fields.take("User")?),
        working_dir: given(fields.take("WorkingDir")?),
        tty: fields.take("Tty")?,
        privileged: fields.take("Privileged")?,
        attach_stdin: fields.take("AttachStdin")?,
        attach_stdout: fields.take("AttachStdout")?,
        attach_stderr: fields.take("AttachStderr")?,
        detach_keys: given(fields.take("DetachKeys")?),
        console_size: console_size(&mut fields)?,
    };
    // Old clients say here too what they say when they start it.
    fields.value("Detach");
    fields.value("Container");
    fields.finish()?;
    if config.cmd.is_empty() {
        return Err(ApiError::bad_request("No exec command specified"));
    }
    Ok(config)
}

/// Reads the body of `POST /exec/{id}/start`.
///
/// # Errors
/// A field of the wrong type, or one that Hull cannot honour.
pub(crate) fn exec_start(body: Value) -> Result<ExecStartOptions, ApiError> {
    let mut fields = Fields::new("", body)?;
    let options = ExecStartOptions {
        detach: fields.take("Detach")?,
        console_size: console_size(&mut fields)?,
    };
    // Whether there is a terminal was said at creation. Docker ignores it here as well.
    fields.value("Tty");
    // Docker's client sends the whole configuration again.
    for name in [
        "User",
        "Privileged",
        "AttachStdin",
        "AttachStdout",
        "AttachStderr",
        "DetachKeys",
        "Env",
        "WorkingDir",
        "Cmd",
        "Container",
    ] {
        fields.value(name);
    }
    fields.finish()?;
    Ok(options)
}

/// Writes `GET /exec/{id}/json`.
pub(crate) fn exec_inspect(exec: &ExecInspect) -> Value {
    let config = &exec.config;
    let (entrypoint, arguments) = match config.cmd.split_first() {
        Some((first, rest)) => (first.as_str(), rest),
        None => ("", [].as_slice()),
    };
    json!({
        "ID": exec.id,
        "Running": exec.running,
        "ExitCode": exec.exit_code,
        "ProcessConfig": {
            "tty": config.tty,
            "entrypoint": entrypoint,
            "arguments": arguments,
            "privileged": config.privileged,
            "user": config.user,
            "workingDir": config.working_dir,
        },
        "OpenStdin": config.attach_stdin,
        "OpenStderr": config.attach_stderr,
        "OpenStdout": config.attach_stdout,
        "CanRemove": !exec.running && exec.exit_code.is_some(),
        "ContainerID": exec.container,
        "DetachKeys": config.detach_keys.as_deref().unwrap_or_default(),
        "Pid": exec.pid,
    })
}

/// Rows and columns; `null` and `[0, 0]` say nothing.
fn console_size(fields: &mut Fields) -> Result<Option<(u16, u16)>, ApiError> {
    let size: Option<(u16, u16)> = fields.take("ConsoleSize")?;
    Ok(size.filter(|&size| size != (0, 0)))
}
