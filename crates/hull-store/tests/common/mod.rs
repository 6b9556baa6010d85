//! What the tests of the store share.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "helpers of tests, of which each binary uses a part"
)]

#[path = "../../../hull-registry/tests/fake/mod.rs"]
pub mod fake;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fake::Fake;
use hull_store::{
    LayerStatus, Limits, Progress, PullError, PullOptions, Pulled, Reference, Settings, Store,
};
use tempfile::TempDir;

/// A store with a directory of its own.
pub struct Home {
    pub dir: TempDir,
    pub store: Store,
}

impl Home {
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open(dir.path(), settings()).unwrap();
        Self { dir, store }
    }

    /// Opens the store anew, as the next daemon does.
    pub fn reopen(self) -> Self {
        let Self { dir, store } = self;
        drop(store);
        let store = Store::open(dir.path(), settings()).unwrap();
        Self { dir, store }
    }

    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(path)
    }

    /// How many blobs, layers, root disks and temporary files there are.
    pub fn counts(&self) -> [usize; 4] {
        ["blobs/sha256", "layers", "roots", "tmp/store"]
            .map(|dir| fs::read_dir(self.path(dir)).unwrap().count())
    }

    pub async fn pull(&self, reference: &Reference) -> Result<Pulled, PullError> {
        self.store.pull(reference, PullOptions::default(), |_| {}).await
    }

    /// Pulls and returns the messages as `id: status`, without those of bytes.
    pub async fn pull_messages(
        &self,
        reference: &Reference,
    ) -> (Result<Pulled, PullError>, Vec<String>) {
        let messages: Arc<Mutex<Vec<Progress>>> = Arc::default();
        let sink = Arc::clone(&messages);
        let notify = move |progress| sink.lock().unwrap().push(progress);
        let pulled = self.store.pull(reference, PullOptions::default(), notify).await;
        let messages = messages.lock().unwrap();
        let lines = messages.iter().filter(|message| {
            !matches!(
                message.status,
                LayerStatus::Downloading { .. }
                    | LayerStatus::Extracting { .. }
                    | LayerStatus::Waiting
            )
        });
        let lines = lines.map(|message| match &message.id {
            Some(id) => format!("{id}: {}", message.status),
            None => message.status.to_string(),
        });
        (pulled, lines.collect())
    }
}

pub fn settings() -> Settings {
    Settings { registry: Fake::settings(), limits: Limits::default() }
}

/// A tar of regular files.
pub fn layer(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// An error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
