//! Archives that come in, plain or compressed.

use std::io::{self, BufReader, Cursor};

use hull_layer::{Compression, decompress};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::io::SyncIoBridge;

/// Returns `archive` without its compression, which is told by its first bytes. What is damaged
/// ends early.
///
/// # Errors
/// If it cannot be read.
pub(crate) async fn plain(
    mut archive: impl AsyncRead + Send + Unpin + 'static,
) -> io::Result<Box<dyn AsyncRead + Send + Unpin>> {
    let mut start = Vec::new();
    (&mut archive).take(START).read_to_end(&mut start).await?;
    let compression = Compression::detect(&start);
    let whole = Cursor::new(start).chain(archive);
    if compression == Compression::None {
        return Ok(Box::new(whole));
    }
    let (writer, reader) = tokio::io::duplex(BUFFER);
    let (whole, mut writer) = (SyncIoBridge::new(whole), SyncIoBridge::new(writer));
    tokio::task::spawn_blocking(move || {
        let decompressed = decompress(BufReader::with_capacity(BUFFER, whole), compression);
        let copied = decompressed.and_then(|mut plain| io::copy(&mut plain, &mut writer));
        if let Err(error) = copied {
            tracing::debug!(%error, "a compressed archive breaks off");
        }
    });
    Ok(Box::new(reader))
}

/// Enough to tell how an archive is compressed, in bytes.
const START: u64 = 512;
const BUFFER: usize = 128 << 10;
