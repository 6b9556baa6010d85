//! Docker's `config.json` and its credential helpers.
//!
//! See `docker login` (CLI reference, "Credential stores") and the protocol of
//! `docker-credential-helpers`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use super::Credentials;
use crate::reference::DEFAULT_DOMAIN;

/// The parts of Docker's `config.json` that registries need.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DockerConfig {
    auths: Option<BTreeMap<String, Entry>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

impl DockerConfig {
    /// Reads `path`; a file that is not there is an empty configuration.
    pub fn load(path: &Path) -> Result<Self, DockerConfigError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => {
                return Err(DockerConfigError::Read { path: path.to_owned(), source });
            }
        };
        serde_json::from_slice(&text)
            .map_err(|source| DockerConfigError::Parse { path: path.to_owned(), source })
    }

    /// The credentials for the registry `domain` of a reference, as `docker.io`.
    ///
    /// Runs `docker-credential-<helper>` from `PATH` where the configuration says so, for at most
    /// 30 seconds.
    pub async fn credentials(
        &self,
        domain: &str,
    ) -> Result<Option<Credentials>, DockerConfigError> {
        let server = if domain == DEFAULT_DOMAIN { DOCKER_HUB } else { domain };
        let helper = self.cred_helpers.as_ref().and_then(|helpers| helpers.get(server));
        if let Some(helper) = helper.or(self.creds_store.as_ref()).filter(|h| !h.is_empty()) {
            return ask_helper(helper, server).await;
        }
        let Some(auths) = &self.auths else {
            return Ok(None);
        };
        let entry = auths
            .get(server)
            // Old entries are addresses: `https://host/v1/`.
            .or_else(|| auths.iter().find(|(key, _)| host(key) == host(server)).map(|(_, e)| e));
        entry.map_or(Ok(None), |entry| entry.credentials(server))
    }
}

/// Why credentials were not found out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DockerConfigError {
    /// An entry is not what `docker login` writes.
    #[error("credentials of {server} in the Docker configuration are malformed")]
    Entry {
        /// Of which registry.
        server: String,
    },
    /// A credential helper said no.
    #[error("docker-credential-{helper}: {message}")]
    Helper {
        /// Its name.
        helper: String,
        /// What it said.
        message: String,
    },
    /// The file is not JSON.
    #[error("{} is not valid", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl Entry {
    fn credentials(&self, server: &str) -> Result<Option<Credentials>, DockerConfigError> {
        let set = |field: &Option<String>| field.clone().filter(|value| !value.is_empty());
        if let Some(token) = set(&self.registrytoken) {
            return Ok(Some(Credentials::RegistryToken(token)));
        }
        if let Some(token) = set(&self.identitytoken) {
            return Ok(Some(Credentials::IdentityToken(token)));
        }
        if let Some(auth) = set(&self.auth) {
            let malformed = || DockerConfigError::Entry { server: server.to_owned() };
            let decoded = STANDARD.decode(auth.trim()).map_err(|_| malformed())?;
            let text = String::from_utf8(decoded).map_err(|_| malformed())?;
            let (username, password) = text.split_once(':').ok_or_else(malformed)?;
            return Ok(Some(Credentials::Password {
                username: username.to_owned(),
                password: password.trim_matches('\0').to_owned(),
            }));
        }
        Ok(set(&self.username).map(|username| Credentials::Password {
            username,
            password: set(&self.password).unwrap_or_default(),
        }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

async fn ask_helper(helper: &str, server: &str) -> Result<Option<Credentials>, DockerConfigError> {
    let failed = |message: String| DockerConfigError::Helper { helper: helper.to_owned(), message };
    // The name comes from a file, and must stay the name of a helper.
    if helper.contains('/') {
        return Err(failed("not the name of a credential helper".to_owned()));
    }
    let run = async {
        let mut child = Command::new(format!("docker-credential-{helper}"))
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that answers without reading is fine.
            let _ = stdin.write_all(server.as_bytes()).await;
        }
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(MAX_ANSWER).read_to_end(&mut output).await?;
        }
        Ok::<_, io::Error>((child.wait().await?, output))
    };
    let (status, output) = timeout(HELPER_TIMEOUT, run)
        .await
        .map_err(|_| failed(format!("no answer within {} s", HELPER_TIMEOUT.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        let message = String::from_utf8_lossy(&output).trim().to_owned();
        if message.contains("credentials not found") {
            return Ok(None);
        }
        return Err(failed(format!("{status}: {message}")));
    }
    let answer: HelperAnswer =
        serde_json::from_slice(&output).map_err(|error| failed(error.to_string()))?;
    Ok(Some(match answer.username.as_str() {
        "<token>" => Credentials::IdentityToken(answer.secret),
        _ => Credentials::Password { username: answer.username, password: answer.secret },
    }))
}

/// The host and port of a key of `auths`.
fn host(key: &str) -> &str {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    bare.split('/').next().unwrap_or(bare)
}

const DOCKER_HUB: &str = "https://index.docker.io/v1/";
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_ANSWER: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    async fn lookup(config: &str, domain: &str) -> Option<Credentials> {
        let config: DockerConfig = serde_json::from_str(config).unwrap();
        config.credentials(domain).await.unwrap()
    }

    fn password(username: &str, password: &str) -> Option<Credentials> {
        let (username, password) = (username.to_owned(), password.to_owned());
        Some(Credentials::Password { username, password })
    }

    #[tokio::test]
    async fn finds_entries() {
        let config = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "aHViOnB3OndpdGg6Y29sb25z"},
            "localhost:5000": {"username": "u", "password": "p"},
            "https://old.example/v1/": {"auth": "YTpi"},
            "ghcr.io": {"auth": "PHRva2VuPjo=", "identitytoken": "it"},
            "empty.example": {}
        }}"#;
        assert_eq!(lookup(config, "docker.io").await, password("hub", "pw:with:colons"));
        assert_eq!(lookup(config, "localhost:5000").await, password("u", "p"));
        assert_eq!(lookup(config, "old.example").await, password("a", "b"));
        let identity = Some(Credentials::IdentityToken("it".to_owned()));
        assert_eq!(lookup(config, "ghcr.io").await, identity);
        assert_eq!(lookup(config, "empty.example").await, None);
        assert_eq!(lookup(config, "elsewhere").await, None);
        assert_eq!(lookup(r#"{"auths": null}"#, "elsewhere").await, None);
    }

    #[tokio::test]
    async fn malformed_entries_and_helpers_are_errors() {
        for config in [
            r#"{"auths": {"x.example": {"auth": "!!!"}}}"#,
            r#"{"credsStore": "hull-no-such-helper"}"#,
            r#"{"credHelpers": {"x.example": "../../bin/sh"}}"#,
        ] {
            let config: DockerConfig = serde_json::from_str(config).unwrap();
            assert!(config.credentials("x.example").await.is_err());
        }
    }
}
