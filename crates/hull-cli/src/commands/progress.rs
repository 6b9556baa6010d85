//! Progress messages of the daemon, shown as docker's client shows them: lines that are rewritten
//! on a terminal, one line per step elsewhere.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};

use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;

use crate::client::ClientError;
use crate::error::Failure;
use crate::flags::width;

/// Where progress goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Show {
    Nothing,
    Stderr,
    Stdout,
}

/// Shows the messages of a response until it ends.
///
/// # Errors
/// The daemon reported one, or the output cannot be written.
pub(super) async fn show(response: Response<Incoming>, show: Show) -> Result<(), Failure> {
    let (mut out, terminal): (Box<dyn Write>, bool) = match show {
        Show::Nothing => (Box::new(io::sink()), false),
        Show::Stderr => (Box::new(io::stderr()), io::stderr().is_terminal()),
        Show::Stdout => (Box::new(io::stdout()), io::stdout().is_terminal()),
    };
    let mut display = Display::new(terminal.then(width));
    let mut body = response.into_body();
    let mut pending = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(ClientError::Http)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        pending.extend_from_slice(&data);
        while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            display.message(&line, &mut out)?;
        }
        out.flush()?;
    }
    display.message(&pending, &mut out)?;
    out.flush()?;
    Ok(())
}

/// What is on the screen.
struct Display {
    /// Columns of the terminal, if there is one.
    width: Option<usize>,
    /// Line of each message that has an identifier.
    lines: HashMap<String, usize>,
}

impl Display {
    fn new(width: Option<usize>) -> Self {
        Self { width, lines: HashMap::new() }
    }

    fn message(&mut self, line: &[u8], out: &mut impl Write) -> Result<(), Failure> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let message: Value = serde_json::from_slice(line).map_err(ClientError::Json)?;
        if let Some(error) = message["error"].as_str() {
            return Err(Failure::new(error));
        }
        if let Some(text) = message["stream"].as_str() {
            return Ok(write!(out, "{text}")?);
        }
        let status = message["status"].as_str().unwrap_or_default();
        let progress = message["progress"].as_str().unwrap_or_default();
        let Some(id) = message["id"].as_str().filter(|id| !id.is_empty()) else {
            self.lines.clear();
            return Ok(writeln!(out, "{status}")?);
        };
        let Some(width) = self.width else {
            // Bars are for terminals; what they lead to has a message of its own.
            if progress.is_empty() {
                writeln!(out, "{id}: {status}")?;
            }
            return Ok(());
        };
        if message["progressDetail"].is_null() {
            self.lines.clear();
            return Ok(writeln!(out, "{id}: {status}")?);
        }
        let next = self.lines.len();
        let line = *self.lines.entry(id.to_owned()).or_insert(next);
        if line == next {
            writeln!(out)?;
        }
        let up = self.lines.len() - line;
        let progress = match progress.split_once("] ") {
            Some((_, numbers)) if width <= WIDE => numbers.trim_start(),
            _ => progress,
        };
        let text = format!("{id}: {status} {progress}");
        let text: String = text.trim_end().chars().take(width).collect();
        // Up, erase the line, write, back, down.
        Ok(write!(out, "\x1b[{up}A\x1b[2K\r{text}\r\x1b[{up}B")?)
    }
}

/// Terminals wider than this have room for bars.
const WIDE: usize = 110;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(width: Option<usize>, messages: &[&str]) -> Result<String, String> {
        let mut display = Display::new(width);
        let mut out = Vec::new();
        for message in messages {
            display.message(message.as_bytes(), &mut out).map_err(|error| error.to_string())?;
        }
        Ok(String::from_utf8(out).unwrap())
    }

    const PULL: [&str; 5] = [
        r#"{"status":"Pulling from library/busybox","id":"latest"}"#,
        r#"{"status":"Pulling fs layer","progressDetail":{},"id":"abc"}"#,
        r#"{"status":"Downloading","progressDetail":{"current":1,"total":2},"progress":"[=>  ]      1B/2B","id":"abc"}"#,
        r#"{"status":"Pull complete","progressDetail":{},"id":"abc"}"#,
        r#"{"status":"Digest: sha256:00"}"#,
    ];

    #[test]
    fn without_a_terminal_there_is_a_line_per_step() {
        insta::assert_snapshot!(shown(None, &PULL).unwrap(), @r"
        latest: Pulling from library/busybox
        abc: Pulling fs layer
        abc: Pull complete
        Digest: sha256:00
        ");
    }

    #[test]
    fn on_a_terminal_lines_are_rewritten() {
        insta::assert_snapshot!(shown(Some(80), &PULL).unwrap().replace('\x1b', "^").replace('\r', "<"), @r"
        latest: Pulling from library/busybox

        ^[1A^[2K<abc: Pulling fs layer<^[1B^[1A^[2K<abc: Downloading 1B/2B<^[1B^[1A^[2K<abc: Pull complete<^[1BDigest: sha256:00
        ");
    }

    #[test]
    fn errors_end_it() {
        let message = r#"{"errorDetail":{"message":"no"},"error":"no"}"#;
        assert_eq!(shown(None, &[message]).unwrap_err(), "no");
    }
}
