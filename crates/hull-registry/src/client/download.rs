//! Files from anywhere: what `docker import URL` fetches.

use bytes::Bytes;
use http::HeaderMap;
use reqwest::{Response, Url};

use super::transport::Get;
use super::{Client, failure};
use crate::{Cause, Error};

/// A file that comes. Dropping it ends the download.
#[derive(Debug)]
pub struct Download {
    client: Client,
    response: Response,
    url: Url,
}

impl Client {
    /// Begins to fetch a file by http or https.
    ///
    /// # Errors
    /// It is no such URL, or the server does not answer with a file.
    pub async fn download(&self, url: &str) -> Result<Download, Error> {
        let url = Url::parse(url).map_err(|error| Error::Tls(format!("{url}: {error}")))?;
        let origin = url.host_str().unwrap_or_default().to_owned();
        let get = Get {
            url: url.clone(),
            headers: HeaderMap::new(),
            authorization: None,
            method: "Get",
            patience: self.transport.settings.timeouts.idle,
            origin: &origin,
        };
        let response = self.transport.get(get).await?;
        let status = response.status();
        if !status.is_success() {
            // As moby's `httputils.Download`.
            let cause = Cause::Other(format!("got HTTP status code >= 400: {status}"));
            return Err(failure::error("Get", &url, cause));
        }
        Ok(Download { client: self.clone(), response, url })
    }
}

impl Download {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// The server breaks off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        self.client.transport.chunk(&mut self.response, &self.url).await
    }
}
