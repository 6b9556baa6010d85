//! Creates a container, and gets its image where it is missing.

use std::fs::{File, OpenOptions};
use std::io::Write as _;

use serde_json::Value;

use super::progress::Show;
use super::pull;
use crate::client::{Client, ClientError, encode};
use crate::error::Failure;
use crate::options::ContainerOptions;
use crate::output;

/// When to pull.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pull {
    Always,
    Missing,
    Never,
}

impl Pull {
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        match text {
            "always" => Ok(Self::Always),
            "missing" => Ok(Self::Missing),
            "never" => Ok(Self::Never),
            _ => Err(Failure::new(format!(
                "invalid pull option: '{text}': must be one of \"always\", \"missing\" or \"never\""
            ))),
        }
    }
}

/// Creates the container that `body` describes and returns its identifier.
pub(super) async fn create(
    client: &Client<'_>,
    options: &ContainerOptions,
    (image, body): (&str, Value),
    when: Pull,
    quiet: bool,
) -> Result<String, Failure> {
    let reference = match pull::parse(image) {
        Ok(reference) => Some(reference.with_default_tag()),
        // An identifier, which cannot be pulled.
        Err(_) if is_image_id(image) => None,
        Err(failure) => return Err(failure),
    };
    let show = if quiet { Show::Nothing } else { Show::Stderr };
    let cidfile = CidFile::create(&options.cidfile)?;
    if let (Pull::Always, Some(reference)) = (when, &reference) {
        pull::pull(client, reference, &options.platform, show).await?;
    }
    let mut path = "/containers/create?".to_owned();
    if !options.name.is_empty() {
        path.push_str(&format!("name={}&", encode(&options.name)));
    }
    if !options.platform.is_empty() {
        path.push_str(&format!("platform={}", encode(&options.platform)));
    }
    let created = match client.post(&path, Some(body.clone())).await {
        Err(error) if when == Pull::Missing && image_is_missing(&error) => {
            let Some(reference) = reference else {
                return Err(error.into());
            };
            if !quiet {
                output::error(&format!("Unable to find image '{}' locally", reference.familiar()));
            }
            pull::pull(client, &reference, &options.platform, show).await?;
            client.post(&path, Some(body)).await?
        }
        result => result?,
    };
    for warning in created["Warnings"].as_array().into_iter().flatten() {
        output::error(&format!("WARNING: {}", warning.as_str().unwrap_or_default()));
    }
    let id = created["Id"].as_str().unwrap_or_default().to_owned();
    cidfile.write(&id)?;
    Ok(id)
}

fn image_is_missing(error: &ClientError) -> bool {
    matches!(error, ClientError::Daemon { message, .. } if message.starts_with("No such image"))
        && error.is_not_found()
}

fn is_image_id(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The file that `--cidfile` names; removed again if no container came of it.
struct CidFile {
    path: String,
    file: Option<File>,
}

impl CidFile {
    fn create(path: &str) -> Result<Self, Failure> {
        let file = match path {
            "" => None,
            path => match OpenOptions::new().write(true).create_new(true).open(path) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    return Err(Failure::new(format!(
                        "container ID file found, make sure the other container isn't running or \
                         delete {path}"
                    )));
                }
                Err(error) => {
                    return Err(Failure::new(format!(
                        "failed to create the container ID file: open {path}: {}",
                        output::reason(&error)
                    )));
                }
            },
        };
        Ok(Self { path: path.to_owned(), file })
    }

    fn write(mut self, id: &str) -> Result<(), Failure> {
        if let Some(mut file) = self.file.take() {
            file.write_all(id.as_bytes()).map_err(|error| {
                Failure::new(format!("failed to write the container ID to the file: {error}"))
            })?;
        }
        Ok(())
    }
}

impl Drop for CidFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
