//! The compressions that layers come in.

use std::fmt;
use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;

/// How a layer blob is compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compression {
    Gzip,
    None,
    Zstd,
}

impl Compression {
    /// Returns the compression that a layer's media type (OCI or Docker) stands for; `None` if it is
    /// not the media type of a layer that can be unpacked.
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        Some(match media_type {
            "application/vnd.oci.image.layer.v1.tar"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar"
            | "application/vnd.docker.image.rootfs.diff.tar" => Self::None,
            "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            | "application/vnd.docker.image.rootfs.diff.tar.gzip"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => Self::Gzip,
            "application/vnd.oci.image.layer.v1.tar+zstd"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
            | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// Returns the compression that the first bytes of a blob (4 are enough) show.
    pub fn detect(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// Reads the uncompressed bytes of a layer blob. Cut short or damaged input is an
/// [`io::ErrorKind::InvalidData`] or [`io::ErrorKind::UnexpectedEof`] error.
pub struct Decompressor<R>(Inner<R>);

enum Inner<R> {
    Gzip(Box<MultiGzDecoder<R>>),
    None(R),
    Zstd(zstd::Decoder<'static, R>),
}

/// Returns a reader of the uncompressed bytes of `reader`, which holds any number of gzip members or
/// zstd frames. Docker goes by the first bytes and not by the media type; so do callers who pass
/// [`Compression::detect`] of `reader.fill_buf()`.
///
/// # Errors
/// If the decompressor cannot be set up.
pub fn decompress<R: BufRead>(reader: R, compression: Compression) -> io::Result<Decompressor<R>> {
    Ok(Decompressor(match compression {
        Compression::Gzip => Inner::Gzip(Box::new(MultiGzDecoder::new(reader))),
        Compression::None => Inner::None(reader),
        // Frames that ask for a window above 128 MiB are refused by the library.
        Compression::Zstd => Inner::Zstd(zstd::Decoder::with_buffer(reader)?),
    }))
}

impl<R: BufRead> Read for Decompressor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (result, name) = match &mut self.0 {
            Inner::Gzip(inner) => (inner.read(buffer), "gzip"),
            Inner::None(inner) => return inner.read(buffer),
            Inner::Zstd(inner) => (inner.read(buffer), "zstd"),
        };
        result.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the {name} stream is cut short"),
            ),
            // What the libraries report of their input; zstd has no kind of its own.
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other
                if error.raw_os_error().is_none() =>
            {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("the {name} stream is damaged: {error}"),
                )
            }
            _ => error,
        })
    }
}

impl<R> fmt::Debug for Decompressor<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compression = match self.0 {
            Inner::Gzip(_) => Compression::Gzip,
            Inner::None(_) => Compression::None,
            Inner::Zstd(_) => Compression::Zstd,
        };
        f.debug_tuple("Decompressor").field(&compression).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn read(blob: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decompress(blob, Compression::detect(blob))?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn members_and_frames_are_joined() {
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3].to_vec();
        let frame = |data: &[u8]| zstd::encode_all(data, 1).unwrap();
        assert_eq!(read(&[gzip(b"one"), gzip(b"two")].concat()).unwrap(), b"onetwo");
        let frames = [skippable, frame(b"one"), frame(b"two")].concat();
        assert_eq!(read(&frames).unwrap(), b"onetwo");
        assert_eq!(read(b"plain").unwrap(), b"plain");
    }

    #[test]
    fn cut_or_damaged_input_returns_error() {
        let data: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
        zstd.include_checksum(true).unwrap();
        zstd.write_all(&data).unwrap();
        for blob in [gzip(&data), zstd.finish().unwrap()] {
            for len in [5, blob.len() / 2, blob.len() - 1] {
                let error = read(&blob[..len]).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
            }
            let mut damaged = blob.clone();
            damaged[100] ^= 0x55;
            damaged[5000] ^= 0x55;
            assert!(read(&damaged).is_err());
            let error = read(&[&blob[..], b"garbage, and more of it"].concat()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        }
    }
}
