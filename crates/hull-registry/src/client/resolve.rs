//! From a reference to the manifest of one image.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};

use super::Repository;
use super::retry::{Failure, Retry};
use crate::manifest::{ACCEPT as MEDIA_TYPES, MAX_MANIFEST};
use crate::{
    ApiError, Descriptor, Digest, Document, Error, Manifest, ManifestError, MediaType, Platform,
};

/// A manifest and how it was found.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The digest of what the reference itself means: the index if there is one.
    pub digest: Digest,
    /// The manifest.
    pub manifest: Manifest,
    /// Its digest.
    pub manifest_digest: Digest,
    /// The documents on the way as the registry sent them: the first is what the reference means,
    /// the last is the manifest.
    pub documents: Vec<(Digest, Bytes)>,
}

impl Repository {
    /// The manifest that the reference means on `platform`.
    ///
    /// # Errors
    /// When there is none, when it is not what its digest says, and when it is of an unknown type,
    /// too large, or too deeply nested.
    pub async fn resolve(&self, platform: &Platform) -> Result<Resolved, Error> {
        let reference = self.reference();
        let name = reference.tag_or_digest();
        let method = if reference.digest().is_some() { "Get" } else { "Head" };
        let first = self.manifest(&name, reference.digest(), None, method).await?;
        let digest = first.digest;
        // Depth first, best match first.
        let mut open = vec![(Step::Here(first), Vec::new())];
        let mut fetched = 1;
        while let Some((step, mut documents)) = open.pop() {
            let found = match step {
                Step::Here(found) => found,
                Step::There(entry) => {
                    fetched += 1;
                    if documents.len() > MAX_DEPTH || fetched > MAX_DOCUMENTS {
                        let name = reference.familiar_name();
                        return Err(Error::Depth { name, limit: MAX_DEPTH });
                    }
                    let name = entry.digest.to_string();
                    self.manifest(&name, Some(&entry.digest), Some(&entry), "Get").await?
                }
            };
            documents.push((found.digest, found.body));
            match found.document {
                Document::Manifest(manifest) => {
                    let manifest_digest = found.digest;
                    return Ok(Resolved { digest, manifest, manifest_digest, documents });
                }
                Document::Index(index) => {
                    let matching = index.matching(platform);
                    open.extend(
                        matching
                            .into_iter()
                            .rev()
                            .map(|entry| (Step::There(entry.clone()), documents.clone())),
                    );
                }
            }
        }
        Err(Error::NoPlatform(platform.clone()))
    }

    async fn manifest(
        &self,
        name: &str,
        digest: Option<&Digest>,
        entry: Option<&Descriptor>,
        method: &'static str,
    ) -> Result<Found, Error> {
        let unusable = |error| Error::Manifest { name: self.reference().familiar(), error };
        if entry.is_some_and(|entry| entry.size > MAX_MANIFEST as u64) {
            return Err(unusable(ManifestError::Size));
        }
        let mut retry = Retry::new(&self.transport().settings.timeouts);
        let (headers, body) = loop {
            match self.manifest_once(name, method).await {
                Ok(answer) => break answer,
                Err(failure) => {
                    let wait = retry.after(failure).map_err(|error| self.explain(error))?;
                    tokio::time::sleep(wait).await;
                }
            }
        };
        let Some(body) = body else {
            return Err(unusable(ManifestError::Size));
        };
        let found = Digest::of(&body);
        if let Some(&digest) = digest.filter(|digest| **digest != found) {
            return Err(Error::ManifestDigest { digest });
        }
        let announced = headers.get("docker-content-digest").and_then(|v| v.to_str().ok());
        // Other algorithms than ours are none of our business.
        if let Some(digest) = announced.and_then(|text| text.parse().ok())
            && digest != found
        {
            return Err(Error::ManifestDigest { digest });
        }
        if let Some(size) = entry.map(|entry| entry.size).filter(|s| *s != body.len() as u64) {
            return Err(unusable(ManifestError::EntrySize { size, found: body.len() as u64 }));
        }
        let content_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let content_type = MediaType::from(content_type.unwrap_or_default());
        let document = Document::parse(&content_type, &body).map_err(unusable)?;
        Ok(Found { digest: found, document, body })
    }

    async fn manifest_once(
        &self,
        name: &str,
        method: &'static str,
    ) -> Result<(HeaderMap, Option<Bytes>), Failure> {
        let mut accept = HeaderMap::new();
        for media_type in MEDIA_TYPES {
            accept.append(ACCEPT, HeaderValue::from_static(media_type));
        }
        let response = self.get("manifests", name, accept, method).await?;
        let headers = response.headers().clone();
        let body = self.transport().body(response, MAX_MANIFEST).await?;
        Ok((headers, body))
    }

    /// Says what an error means for the image that was asked for.
    fn explain(&self, error: Error) -> Error {
        let Error::Response(mut error) = error else {
            return error;
        };
        let reference = self.reference();
        match (error.code.as_str(), error.status) {
            ("DENIED", _) => Error::Denied { name: reference.familiar_name(), error },
            ("NAME_UNKNOWN", _) => Error::NameUnknown { name: reference.familiar_name(), error },
            ("MANIFEST_UNKNOWN", _) | ("", 404) => {
                if error.code.is_empty() {
                    let (code, message) = ("MANIFEST_UNKNOWN".into(), "manifest unknown".into());
                    error = ApiError { code, message, ..error };
                }
                Error::ManifestUnknown { reference: reference.familiar(), error }
            }
            _ => Error::Response(error),
        }
    }
}

enum Step {
    Here(Found),
    There(Descriptor),
}

struct Found {
    digest: Digest,
    document: Document,
    body: Bytes,
}

const MAX_DEPTH: usize = 4;
const MAX_DOCUMENTS: usize = 32;
