//! `hull import`.

use futures_util::TryStreamExt as _;
use http::{Method, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio_util::io::ReaderStream;

use super::progress::{self, Show};
use super::{Command, Invocation, image_name, load};
use crate::client::{ClientError, encode, full, request};
use crate::error::Failure;
use crate::flags::Arity;

pub(super) const COMMAND: Command = Command {
    name: "import",
    arguments: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    about: "Import the contents from a tarball to create a filesystem image",
    aliases: &["image import", "import"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut changes: Vec<String> = Vec::new();
    let mut message = String::new();
    let mut platform = String::new();
    let mut flags = invocation.flags();
    flags.both(&mut changes, 'c', "change", "Apply Dockerfile instruction to the created image");
    flags.both(&mut message, 'm', "message", "Set commit message for imported image");
    flags.long(&mut platform, "platform", "Set platform if server is multi-platform capable");
    let operands = flags.parse(arguments, Arity::AtLeast(1))?;
    let source = operands[0].as_str();
    let is_url = source.starts_with("http://") || source.starts_with("https://");
    let mut query = format!(
        "/images/create?fromSrc={}&message={}&platform={}{}",
        encode(if is_url { source } else { "-" }),
        encode(&message),
        encode(&platform),
        image_name::query(operands.get(1).map(String::as_str))?,
    );
    for change in &changes {
        query.push_str(&format!("&changes={}", encode(change)));
    }
    invocation.wait_for(async {
        if is_url {
            // The daemon fetches it.
            let make = || request(Method::POST, &query).body(full(""));
            let response = invocation.client().ask(make).await?;
            return progress::show(response, Show::Stdout).await;
        }
        let archive = load::open(Some(source).filter(|source| *source != "-")).await?;
        let body = ReaderStream::with_capacity(archive, load::CHUNK).map_ok(Frame::data);
        let request = request(Method::POST, &query)
            .header(header::CONTENT_TYPE, "text/plain")
            .body(StreamBody::new(body).boxed_unsync())
            .map_err(ClientError::Request)?;
        let response = invocation.client().exchange(request).await?;
        progress::show(response, Show::Stdout).await
    })
}
