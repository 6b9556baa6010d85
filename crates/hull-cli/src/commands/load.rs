//! `hull load`.

use std::io::IsTerminal as _;

use futures_util::TryStreamExt as _;
use http::{Method, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use super::progress::{self, Show};
use super::{Command, Invocation};
use crate::client::{ClientError, request};
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "load",
    arguments: "[OPTIONS]",
    about: "Load an image from a tar archive or STDIN",
    aliases: &["image load", "load"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut input: Option<String> = None;
    let mut quiet = false;
    let mut flags = invocation.flags();
    flags.both(&mut input, 'i', "input", "Read from tar archive file, instead of STDIN");
    flags.both(&mut quiet, 'q', "quiet", "Suppress the load output");
    flags.parse(arguments, Arity::None)?;
    if input.is_none() && std::io::stdin().is_terminal() {
        return Err(Failure::new("requested load from stdin, but stdin is empty"));
    }
    invocation.wait_for(async {
        let archive = open(input.as_deref()).await?;
        let body = StreamBody::new(ReaderStream::with_capacity(archive, CHUNK).map_ok(Frame::data));
        let path =
            format!("/images/load?quiet={}", u8::from(quiet || !std::io::stdout().is_terminal()));
        let request = request(Method::POST, &path)
            .header(header::CONTENT_TYPE, "application/x-tar")
            .body(body.boxed_unsync())
            .map_err(ClientError::Request)?;
        let response = invocation.client().exchange(request).await?;
        // What was loaded is said even then: the daemon leaves out how it went.
        progress::show(response, Show::Stdout).await
    })
}

/// Opens an archive; standard input if no file is named.
pub(super) async fn open(path: Option<&str>) -> Result<Box<dyn AsyncRead + Send + Unpin>, Failure> {
    let Some(path) = path else {
        return Ok(Box::new(tokio::io::stdin()));
    };
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|error| Failure::new(format!("open {path}: {}", output::reason(&error))))?;
    Ok(Box::new(file))
}

pub(super) const CHUNK: usize = 256 << 10;
