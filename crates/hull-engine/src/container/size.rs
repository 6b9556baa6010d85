//! How much a container has written: `docker ps -s`.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hull_protocol::Part;

use super::entry::Container;
use super::record::Record;
use crate::{Engine, Result, layout};

impl Engine {
    /// Returns the bytes of the container's own files, and with those of its image.
    pub(super) async fn sizes(
        &self,
        container: &Arc<Container>,
        record: &Record,
        wanted: bool,
    ) -> (Option<u64>, Option<u64>) {
        if !wanted {
            return (None, None);
        }
        let own = self.size_rw(container).await;
        (Some(own), Some(record.image.size + own))
    }

    /// One that runs is asked, because its disk lags behind; else the disk is read.
    async fn size_rw(&self, container: &Arc<Container>) -> u64 {
        if container.live().state.status.is_running() {
            match tokio::time::timeout(PATIENCE, self.ask_size(container)).await {
                Ok(Ok(Some(size))) => return size,
                Ok(Ok(None)) => tracing::warn!(container = container.id, "sent no size"),
                Ok(Err(error)) => tracing::debug!(container = container.id, %error, "no size"),
                Err(_) => tracing::warn!(container = container.id, "does not say its size"),
            }
        }
        let path = container.dir.join(layout::container::SCRATCH);
        tokio::task::spawn_blocking(move || of_disk(&path)).await.unwrap_or_default()
    }

    async fn ask_size(&self, container: &Arc<Container>) -> Result<Option<u64>> {
        let mut stream = self.read_part(container, Part::Size).await?;
        let mut text = Vec::new();
        while let Some(piece) = stream.next().await? {
            text.extend_from_slice(&piece);
            if text.len() > DIGITS {
                return Ok(None);
            }
        }
        Ok(std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()))
    }
}

/// The bytes of the files on a disk; of one that cannot be read, those that it takes on the host.
fn of_disk(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(file) = File::open(path) else {
        return 0;
    };
    // The directory that the agent has for the layer, and what it puts there in Docker's stead.
    let size = hull_ext4::usage(&file, &["layer", "upper"], |path| path == "etc/mtab");
    match (size, file.metadata()) {
        (Ok(size), _) => size,
        (Err(error), _) if error.kind() == std::io::ErrorKind::NotFound => 0,
        // st_blocks counts 512 bytes.
        (Err(_), metadata) => metadata.map_or(0, |metadata| metadata.blocks() * 512),
    }
}

/// How long a guest may think about it.
const PATIENCE: Duration = Duration::from_secs(5);
/// As many has the largest number.
const DIGITS: usize = 20;
