//! Images from a registry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use hull_registry::DockerConfig;
use hull_store::{LayerStatus, Progress, PullError};
use tokio::sync::broadcast;

use super::lookup::{parse_platform, parse_reference};
use crate::{Engine, Error, Result};

/// How to pull.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// `os/arch[/variant]`; `None`: the engine's default.
    pub platform: Option<String>,
    /// `None`: those of Docker's client configuration, if it has some for this registry.
    pub credentials: Option<Credentials>,
}

/// Who we are to a registry.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credentials {
    Basic { username: String, password: String },
    IdentityToken(String),
    RegistryToken(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// What a pull is doing, in the terms of Docker's progress messages.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PullProgress {
    /// `Pulling from library/busybox`, once, with the tag or digest.
    Began { repository: String, tag: String },
    /// `Pulling fs layer`. `layer` is the first 12 digits of the blob's digest.
    Layer { layer: String },
    /// `Already exists`.
    Exists { layer: String },
    /// `Downloading`, bytes.
    Downloading { layer: String, current: u64, total: u64 },
    /// `Download complete`: fetched and its digest is right.
    Downloaded { layer: String },
    /// `Extracting`, bytes of the compressed layer.
    Extracting { layer: String, current: u64, total: u64 },
    /// `Pull complete`.
    Complete { layer: String },
    /// `Verifying Checksum`.
    Verifying { layer: String },
    /// `Waiting`: other layers go first.
    Waiting { layer: String },
    /// Any other sentence.
    Note(String),
    /// `Retrying in n seconds`, why.
    Retrying { layer: String, seconds: u64, reason: String },
}

/// What a pull brought.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pulled {
    /// Full reference, for example `docker.io/library/busybox:latest`.
    pub reference: String,
    /// As Docker prints it, for example `busybox:latest`.
    pub familiar: String,
    /// Digest of the manifest or index that the reference named, `sha256:<hex>`.
    pub digest: String,
    /// Image id, `sha256:<hex>`.
    pub id: String,
    /// False: `Image is up to date`.
    pub newer: bool,
}

impl Engine {
    /// Pulls an image and makes it ready to run. `progress` is called from other tasks; it must
    /// not block. Pulls of one reference at a time share the work. The pull ends when nobody
    /// waits for it any more.
    ///
    /// # Errors
    /// The reference makes no sense; the registry has no such image, wants other credentials or
    /// fails; what it sends is not what its digest says or no image.
    pub async fn pull(
        &self,
        reference: &str,
        options: PullOptions,
        progress: impl Fn(PullProgress) + Send + Sync + 'static,
    ) -> Result<Pulled> {
        let parsed = parse_reference(reference)?.with_default_tag();
        let platform = match options.platform.as_deref() {
            None | Some("") => self.platform()?,
            Some(platform) => parse_platform(platform)?,
        };
        let key = format!("{}@{platform}", parsed.familiar());
        let credentials = match options.credentials {
            Some(given) => Some(given.into()),
            None => self.stored_credentials(parsed.domain()).await?,
        };
        let work = {
            let engine = self.clone();
            move |sender: broadcast::Sender<Progress>| async move {
                let options = hull_store::PullOptions { platform: Some(platform), credentials };
                let tell = move |progress| {
                    // Nobody listens at the moment.
                    sender.send(progress).ok();
                };
                let pulled = match engine.inner.store.pull(&parsed, options, tell).await {
                    Ok(pulled) => pulled,
                    Err(error) => {
                        engine.collect_after_failure().await;
                        return Err(error.into());
                    }
                };
                let familiar = parsed.familiar();
                engine.tell_image("pull", &familiar, &parsed.familiar_name());
                Ok(Pulled {
                    reference: format!("{}{}", parsed.name(), suffix(&familiar)),
                    familiar,
                    digest: pulled.digest.to_string(),
                    id: pulled.image.id.to_string(),
                    newer: pulled.newer,
                })
            }
        };
        self.inner.pulls.share(key, work, progress).await
    }

    /// Returns the tags of a repository, in the registry's order.
    ///
    /// # Errors
    /// As of [`Engine::pull`].
    pub async fn tags(
        &self,
        repository: &str,
        credentials: Option<Credentials>,
    ) -> Result<Vec<String>> {
        let parsed = parse_reference(repository)?;
        let credentials = match credentials {
            Some(given) => Some(given.into()),
            None => self.stored_credentials(parsed.domain()).await?,
        };
        Ok(self.inner.store.tags(&parsed, credentials).await?)
    }

    async fn stored_credentials(&self, domain: &str) -> Result<Option<hull_registry::Credentials>> {
        let Some(path) = &self.inner.settings.docker_config else {
            return Ok(None);
        };
        let failed = |error| Error::internal("cannot get credentials", error);
        let config = DockerConfig::load(path).map_err(failed)?;
        config.credentials(domain).await.map_err(failed)
    }
}

/// Pulls under way, by reference and platform.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    running: Arc<Mutex<HashMap<String, Weak<Shared>>>>,
}

/// A pull that several wait for. Its task ends with the last of them.
#[derive(Debug)]
struct Shared {
    progress: broadcast::Sender<Progress>,
    outcome: tokio::sync::watch::Receiver<Option<Result<Pulled, Arc<Error>>>>,
    task: tokio::task::AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pulls {
    async fn share<F>(
        &self,
        key: String,
        work: impl FnOnce(broadcast::Sender<Progress>) -> F,
        progress: impl Fn(PullProgress),
    ) -> Result<Pulled>
    where
        F: Future<Output = Result<Pulled>> + Send + 'static,
    {
        let (shared, mut coming) = {
            let mut running = self.running();
            running.retain(|_, shared| shared.strong_count() > 0);
            let joined = running.get(&key).and_then(Weak::upgrade);
            // One that is over is of no use: its image may have been removed since.
            match joined.filter(|shared| shared.outcome.borrow().is_none()) {
                Some(shared) => {
                    let coming = shared.progress.subscribe();
                    (shared, coming)
                }
                None => {
                    let (sender, coming) = broadcast::channel(BACKLOG);
                    let (done, outcome) = tokio::sync::watch::channel(None);
                    let pull = work(sender.clone());
                    let task = tokio::spawn(async move {
                        let pulled = pull.await.map_err(Arc::new);
                        done.send_replace(Some(pulled));
                    });
                    let shared =
                        Arc::new(Shared { progress: sender, outcome, task: task.abort_handle() });
                    running.insert(key, Arc::downgrade(&shared));
                    (shared, coming)
                }
            }
        };
        let mut outcome = shared.outcome.clone();
        let pulled = {
            // The guard of the watched value must not live on: it cannot be held over an await.
            let finished = async {
                let finished = outcome.wait_for(Option::is_some).await;
                finished.map(|pulled| pulled.clone())
            };
            tokio::pin!(finished);
            loop {
                tokio::select! {
                    biased;
                    message = coming.recv() => match message {
                        Ok(message) => progress.tell(message),
                        // A slow listener misses some bytes counted.
                        Err(broadcast::error::RecvError::Lagged(_)) => {}
                        Err(broadcast::error::RecvError::Closed) => break finished.await,
                    },
                    pulled = &mut finished => break pulled,
                }
            }
            .map_err(|error| Error::internal("the pull was interrupted", error))?
        };
        // What was said at the very end.
        while let Ok(message) = coming.try_recv() {
            progress.tell(message);
        }
        match pulled {
            Some(Ok(pulled)) => Ok(pulled),
            Some(Err(error)) => Err(error.replicate()),
            // `wait_for` has seen that it is not.
            None => {
                Err(Error::Internal { context: "the pull was interrupted".into(), source: None })
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Weak<Shared>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

trait Tell {
    fn tell(&self, progress: Progress);
}

impl<F: Fn(PullProgress)> Tell for F {
    fn tell(&self, progress: Progress) {
        if let Some(progress) = translate(progress) {
            self(progress);
        }
    }
}

/// What a message of the store says; `None` if its caller says that at the end anyway.
fn translate(progress: Progress) -> Option<PullProgress> {
    let layer = progress.id.clone().unwrap_or_default();
    Some(match progress.status {
        LayerStatus::AlreadyExists => PullProgress::Exists { layer },
        LayerStatus::DownloadComplete => PullProgress::Downloaded { layer },
        LayerStatus::Downloading { current, total } => {
            PullProgress::Downloading { layer, current, total }
        }
        LayerStatus::Extracting { current, total } => {
            PullProgress::Extracting { layer, current, total }
        }
        LayerStatus::Note(text) => match (text.strip_prefix("Pulling from "), progress.id) {
            (Some(repository), Some(tag)) => {
                PullProgress::Began { repository: repository.to_owned(), tag }
            }
            _ if text.starts_with("Digest: ") || text.starts_with("Status: ") => return None,
            _ => PullProgress::Note(text),
        },
        LayerStatus::PullComplete => PullProgress::Complete { layer },
        LayerStatus::PullingFsLayer => PullProgress::Layer { layer },
        LayerStatus::Retrying { seconds } => {
            PullProgress::Retrying { layer, seconds, reason: String::new() }
        }
        LayerStatus::VerifyingChecksum => PullProgress::Verifying { layer },
        LayerStatus::Waiting => PullProgress::Waiting { layer },
        status => PullProgress::Note(status.to_string()),
    })
}

/// Tag and digest of a reference as users write it.
fn suffix(familiar: &str) -> &str {
    let name = familiar.rsplit('/').next().unwrap_or(familiar);
    match name.find([':', '@']) {
        Some(at) => &name[at..],
        None => "",
    }
}

impl From<Credentials> for hull_registry::Credentials {
    fn from(credentials: Credentials) -> Self {
        match credentials {
            Credentials::Basic { username, password } => Self::Password { username, password },
            Credentials::IdentityToken(token) => Self::IdentityToken(token),
            Credentials::RegistryToken(token) => Self::RegistryToken(token),
        }
    }
}

impl From<PullError> for Error {
    fn from(error: PullError) -> Self {
        use hull_registry::Kind;
        match error {
            PullError::Registry(error) => match error.kind() {
                Kind::NotFound => Self::NotFound(error.to_string()),
                Kind::Forbidden => Self::Forbidden(error.to_string()),
                Kind::Unauthorized => Self::Unauthorized(error.to_string()),
                // Its text is whole: dockerd says no more either.
                _ => Self::Internal { context: error.to_string(), source: None },
            },
            PullError::Root(error) => error.into(),
            PullError::Store(error) => error.into(),
            error => Self::internal(error.to_string(), error),
        }
    }
}

/// Progress messages that wait for a listener.
const BACKLOG: usize = 1024;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn pulled() -> Pulled {
        Pulled {
            reference: "docker.io/library/b:1".into(),
            familiar: "b:1".into(),
            digest: "sha256:0".into(),
            id: "sha256:1".into(),
            newer: true,
        }
    }

    #[tokio::test]
    async fn pulls_of_one_reference_share_the_work() {
        let pulls = Pulls::default();
        let begun = Arc::new(AtomicUsize::new(0));
        let (release, gate) = tokio::sync::watch::channel(false);
        let work = |sender: broadcast::Sender<Progress>| {
            begun.fetch_add(1, Ordering::SeqCst);
            let mut gate = gate.clone();
            async move {
                gate.wait_for(|open| *open).await.unwrap();
                sender.send(Progress::of("abc", LayerStatus::PullComplete)).ok();
                Ok(pulled())
            }
        };
        let told = AtomicUsize::new(0);
        let tell = |_: PullProgress| {
            told.fetch_add(1, Ordering::SeqCst);
        };
        let open = async {
            tokio::task::yield_now().await;
            release.send_replace(true);
        };
        let (first, second, ()) = tokio::join!(
            pulls.share("b:1".into(), work, tell),
            pulls.share("b:1".into(), work, tell),
            open,
        );
        assert_eq!(first.unwrap(), second.unwrap());
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        assert_eq!(told.load(Ordering::SeqCst), 2);
        pulls.share("b:1".into(), work, tell).await.unwrap();
        assert_eq!(begun.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_pull_ends_when_nobody_waits_for_it() {
        let pulls = Pulls::default();
        let (alive, mut dead) = tokio::sync::mpsc::channel::<()>(1);
        let work = |_| async move {
            let _alive = alive;
            std::future::pending::<Result<Pulled>>().await
        };
        let waiting = pulls.share("b:1".into(), work, |_| {});
        let timeout = std::time::Duration::from_millis(20);
        tokio::time::timeout(timeout, waiting).await.unwrap_err();
        assert_eq!(dead.recv().await, None);
    }

    #[test]
    fn suffixes_are_of_the_last_component() {
        assert_eq!(suffix("localhost:5000/a:1"), ":1");
        assert_eq!(suffix("localhost:5000/a"), "");
        assert_eq!(suffix("b@sha256:0"), "@sha256:0");
    }
}
