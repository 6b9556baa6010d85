//! Failed requests, told as Go's HTTP client tells them.

use std::error::Error as StdError;
use std::io;

use reqwest::Url;
use rustls::CertificateError;

use crate::{Cause, Error};

/// An error of a request.
pub(crate) fn error(method: &'static str, url: &Url, cause: Cause) -> Error {
    Error::Request { method, url: shown(url), cause }
}

/// An address without what may be secret: credentials, and signatures in the query.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Fails only for addresses that cannot have credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.into()
}

/// What went wrong in a request.
pub(crate) async fn cause(error: &reqwest::Error, url: &Url) -> Cause {
    let io = find::<io::Error>(error);
    if let Some(tls) = io.and_then(tls_error).or_else(|| find::<rustls::Error>(error)) {
        return tls_cause(tls, url);
    }
    if error.is_connect() {
        let host = url.host_str().unwrap_or_default();
        if error.is_timeout() {
            return Cause::Connect(format!("dial tcp {}: i/o timeout", address(url).await));
        }
        if chain(error).any(|e| e.to_string() == "dns error") {
            return Cause::Connect(format!("dial tcp: lookup {host}: no such host"));
        }
        let reason = io.map_or_else(|| last(error), words);
        return Cause::Connect(format!("dial tcp {}: connect: {reason}", address(url).await));
    }
    if error.is_timeout() {
        return Cause::Timeout;
    }
    match io {
        Some(io) if io.kind() == io::ErrorKind::UnexpectedEof => {
            Cause::Broken("unexpected EOF".to_owned())
        }
        Some(io) => Cause::Broken(format!("read tcp: {}", words(io))),
        // The server closed the connection instead of answering.
        None if error.is_request() => Cause::Broken("EOF".to_owned()),
        None if error.is_body() || error.is_decode() => Cause::Broken("unexpected EOF".to_owned()),
        None => Cause::Other(last(error)),
    }
}

fn tls_cause(error: &rustls::Error, url: &Url) -> Cause {
    match error {
        rustls::Error::InvalidMessage(_) => Cause::PlainHttp,
        rustls::Error::InvalidCertificate(certificate) => {
            let host = url.host_str().unwrap_or_default();
            Cause::Tls(match certificate {
                CertificateError::UnknownIssuer => {
                    "x509: certificate signed by unknown authority".to_owned()
                }
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => {
                    "x509: certificate has expired or is not yet valid".to_owned()
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => {
                    format!("x509: certificate is not valid for {host}")
                }
                other => format!("x509: {other}"),
            })
        }
        other => Cause::Tls(format!("tls: {other}")),
    }
}

/// The address Go would name: the first one of the host.
async fn address(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match tokio::net::lookup_host((bare, port)).await {
        Ok(mut addresses) => addresses.next().map(|a| a.to_string()),
        Err(_) => None,
    }
    .unwrap_or_else(|| format!("{host}:{port}"))
}

/// An I/O error in C's words, without Rust's number.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

/// The TLS error in an I/O error, which may be wrapped in others.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    let inner = error.get_ref()?;
    match inner.downcast_ref::<io::Error>() {
        Some(error) => tls_error(error),
        None => inner.downcast_ref(),
    }
}

fn last(error: &reqwest::Error) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// The innermost error of a type.
fn find<E: StdError + 'static>(error: &reqwest::Error) -> Option<&E> {
    chain(error).filter_map(|e| e.downcast_ref()).last()
}

fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let first: &(dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |error| (*error).source())
}
