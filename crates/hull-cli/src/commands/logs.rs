//! `hull logs`.

use http::{Method, header};
use http_body_util::BodyExt as _;
use hull_format::{GoDuration, parse_time};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Command, Invocation};
use crate::client::{Client, ClientError, Demultiplexer, Piece, Target, encode};
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;
use crate::terminal::Output;

pub(super) const COMMAND: Command = Command {
    name: "logs",
    arguments: "[OPTIONS] CONTAINER",
    about: "Fetch the logs of a container",
    aliases: &["container logs", "logs"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut boot = false;
    let mut details = false;
    let mut follow = false;
    let mut since = String::new();
    let mut tail = "all".to_owned();
    let mut timestamps = false;
    let mut until = String::new();
    let mut flags = invocation.flags();
    flags.long(&mut boot, "boot", "Show the console of the container's machine instead");
    flags.long(&mut details, "details", "Show extra details provided to logs");
    flags.both(&mut follow, 'f', "follow", "Follow log output");
    flags.long(
        &mut since,
        "since",
        "Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for \
         42 minutes)",
    );
    flags.both(&mut tail, 'n', "tail", "Number of lines to show from the end of the logs");
    flags.both(&mut timestamps, 't', "timestamps", "Show timestamps");
    flags.long(
        &mut until,
        "until",
        "Show logs before a timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" \
         for 42 minutes)",
    );
    let containers = flags.parse(arguments, Arity::Exactly(1))?;
    let container = encode(&containers[0]);
    if boot {
        let selects = details || follow || timestamps || tail != "all";
        if selects || !since.is_empty() || !until.is_empty() {
            return Err(Failure::new("conflicting options: --boot shows all there is"));
        }
        return invocation.wait_for(async {
            let path = format!("/hull/boot/{container}");
            output::print(invocation.client().get_bytes(&path).await?)
        });
    }
    let mut path = format!(
        "/containers/{container}/logs?stdout=1&stderr=1&follow={}&timestamps={}&details={}&tail={}",
        u8::from(follow),
        u8::from(timestamps),
        u8::from(details),
        encode(&tail)
    );
    invocation.wait_for(async {
        let client = invocation.client();
        for (name, value) in [("since", &since), ("until", &until)] {
            if value.is_empty() {
                continue;
            }
            match moment(name, value) {
                Ok(time) => path.push_str(&format!("&{name}={time}")),
                Err(failure) => {
                    // A container that there is not is the first thing to say.
                    client.get(&format!("/containers/{container}/json")).await?;
                    return Err(failure);
                }
            }
        }
        show(&client, &path).await
    })
}

/// Reads a time as `--since` and `--until` take it, for the API.
pub(super) fn moment(name: &str, text: &str) -> Result<String, Failure> {
    let time = parse_time(text, Timestamp::now(), &TimeZone::system())
        .map_err(|error| Failure::new(format!("invalid value for {name:?}: {error}")))?
        .as_nanosecond();
    let (seconds, rest) = (time.div_euclid(1_000_000_000), time.rem_euclid(1_000_000_000));
    // As docker's client: a duration is told in whole seconds.
    match text.parse::<GoDuration>() {
        Ok(_) if text != "0" => Ok(seconds.to_string()),
        _ => Ok(format!("{seconds}.{rest:09}")),
    }
}

async fn show(client: &Client<'_>, path: &str) -> Result<(), Failure> {
    let response = client.send(Method::GET, path, None).await?;
    let kind = response.headers().get(header::CONTENT_TYPE);
    let framed = kind.is_some_and(|kind| kind == "application/vnd.docker.multiplexed-stream");
    let mut body = response.into_body();
    let mut frames = Demultiplexer::default();
    let output = Output::new();
    let mut problem = None;
    'read: while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(ClientError::Http)?.into_data() else {
            continue;
        };
        if !framed {
            let target = Target::Stdout;
            if !output.send(Piece { target, data }).await {
                break;
            }
            continue;
        }
        frames.push(&data);
        while let Some(piece) = frames.next().map_err(Failure::new)? {
            if piece.target == Target::SystemError {
                problem = Some(String::from_utf8_lossy(&piece.data).trim_end().to_owned());
            } else if !output.send(piece).await {
                break 'read;
            }
        }
    }
    output.finish().await?;
    match problem {
        Some(problem) => Err(Failure::new(problem)),
        None => Ok(()),
    }
}
