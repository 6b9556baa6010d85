//! `GET /containers/{id}/logs`.

use axum::Extension;
use axum::extract::{Path, State};
use bytes::{BufMut as _, Bytes, BytesMut};
use hull_engine::{LogEntry, LogOptions};

use super::{Answer, stream};
use crate::error::ApiError;
use crate::frame;
use crate::parameters::Parameters;
use crate::server::Server;
use crate::version::Version;

pub(super) async fn logs(
    State(server): State<Server>,
    Path(id): Path<String>,
    parameters: Parameters,
    Extension(version): Extension<Version>,
) -> Answer {
    let options = LogOptions {
        stdout: parameters.switch("stdout"),
        stderr: parameters.switch("stderr"),
        follow: parameters.switch("follow"),
        since: parameters.time("since")?,
        until: parameters.time("until")?,
        // As in Docker, what is no number means all lines.
        tail: parameters.text("tail").and_then(|tail| tail.parse().ok()),
    };
    if !options.stdout && !options.stderr {
        return Err(ApiError::bad_request("Bad parameters: you must choose at least one stream"));
    }
    let timestamps = parameters.switch("timestamps");
    let details = parameters.switch("details");
    let tty = server.engine.inspect(&id, false).await?.config.tty;
    let mut log = server.engine.logs(&id, options).await?;
    let kind = if tty || version < Version::new(1, 42) {
        "application/vnd.docker.raw-stream"
    } else {
        "application/vnd.docker.multiplexed-stream"
    };
    Ok(stream::stream(kind, move |sink| async move {
        while let Some(entry) = log.next().await {
            let piece = match entry {
                Ok(entry) => line(&entry, timestamps, details, tty),
                Err(error) => frame::system_error(&format!(
                    "Error grabbing logs: {}\n",
                    ApiError::in_stream(error)
                )),
            };
            if !sink.send(piece).await {
                return;
            }
        }
    }))
}

fn line(entry: &LogEntry, timestamps: bool, details: bool, tty: bool) -> Bytes {
    let mut prefix = String::new();
    if timestamps {
        prefix.push_str(&hull_format::log_time(entry.time));
        prefix.push(' ');
    }
    if details {
        let pairs: Vec<String> = entry
            .attributes
            .iter()
            .map(|(key, value)| format!("{}={}", escape(key), escape(value)))
            .collect();
        prefix.push_str(&pairs.join(","));
        prefix.push(' ');
    }
    let length = prefix.len() + entry.data.len();
    let mut line = BytesMut::with_capacity(8 + length);
    if !tty {
        line.put_slice(&frame::header(entry.channel, length));
    }
    line.put_slice(prefix.as_bytes());
    line.put_slice(&entry.data);
    line.freeze()
}

/// Percent-encodes as Go's `url.QueryEscape` does.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            b' ' => escaped.push('+'),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use hull_engine::Channel;

    use super::*;

    #[test]
    fn lines_have_headers_times_and_details() {
        let entry = LogEntry {
            channel: Channel::Stderr,
            time: "2026-01-02T03:04:05.6Z".parse().unwrap(),
            data: Bytes::from_static(b"hi\n"),
            attributes: [("a b".to_owned(), "c/d".to_owned())].into(),
        };
        assert_eq!(&line(&entry, false, false, false)[..], b"\x02\0\0\0\0\0\0\x03hi\n");
        assert_eq!(
            &line(&entry, true, true, true)[..],
            b"2026-01-02T03:04:05.600000000Z a+b=c%2Fd hi\n"
        );
    }
}
