//! Takes apart what Docker's framing put together: standard output and error on one stream.

use bytes::{Buf as _, Bytes, BytesMut};

/// Where a piece of output belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    Stderr,
    Stdout,
    /// The daemon reports an error within the stream.
    SystemError,
}

/// Bytes of one stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Piece {
    pub(crate) target: Target,
    pub(crate) data: Bytes,
}

/// Reads frames: 8 bytes of header (stream, three zeros, length as 32 bits big endian) and data.
/// Passes parts of frames on as they come.
#[derive(Debug, Default)]
pub(crate) struct Demultiplexer {
    buffer: BytesMut,
    current: Option<(Target, usize)>,
}

impl Demultiplexer {
    /// Adds bytes as they came.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next piece; `None` if more bytes are needed.
    ///
    /// # Errors
    /// A stream number that there is not: what comes is not framed.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, String> {
        loop {
            match self.current {
                Some((_, 0)) => self.current = None,
                Some((target, left)) => {
                    let take = left.min(self.buffer.len());
                    if take == 0 {
                        return Ok(None);
                    }
                    self.current = Some((target, left - take));
                    let data = self.buffer.split_to(take).freeze();
                    return Ok(Some(Piece { target, data }));
                }
                None if self.buffer.len() < HEADER => return Ok(None),
                None => {
                    let target = match self.buffer[0] {
                        0 | 1 => Target::Stdout,
                        2 => Target::Stderr,
                        3 => Target::SystemError,
                        other => return Err(format!("Unrecognized input header: {other}")),
                    };
                    self.buffer.advance(4);
                    let length = self.buffer.get_u32();
                    // A u32 fits: Hull runs on 64-bit machines only.
                    self.current = Some((target, length as usize));
                }
            }
        }
    }
}

const HEADER: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_apart_however_they_are_cut() {
        let stream = b"\x01\0\0\0\0\0\0\x02ab\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\x03xyz";
        for size in 1..stream.len() {
            let mut demultiplexer = Demultiplexer::default();
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            for chunk in stream.chunks(size) {
                demultiplexer.push(chunk);
                while let Some(piece) = demultiplexer.next().unwrap() {
                    match piece.target {
                        Target::Stdout => stdout.extend_from_slice(&piece.data),
                        Target::Stderr => stderr.extend_from_slice(&piece.data),
                        Target::SystemError => panic!("no such piece"),
                    }
                }
            }
            assert_eq!((stdout.as_slice(), stderr.as_slice()), (&b"ab"[..], &b"xyz"[..]));
        }
    }

    #[test]
    fn what_is_not_framed_is_an_error() {
        let mut demultiplexer = Demultiplexer::default();
        demultiplexer.push(b"hello world");
        assert!(demultiplexer.next().is_err());
    }
}
