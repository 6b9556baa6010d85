//! Frames: a 12 byte header and a payload.
//!
//! ```text
//!  0        4      5      6         8          12
//!  +--------+------+------+---------+----------+---------+
//!  | length | kind | zero |  zero   |  stream  | payload |
//!  | u32 le | u8   | u8   | u16     |  u32 le  | length  |
//!  +--------+------+------+---------+----------+---------+
//! ```

use thiserror::Error;

/// Bytes of a frame before its payload.
pub const HEADER_LEN: usize = 12;

/// Largest payload of one frame, in bytes. Data frames stay far below it so that a control message
/// never waits long behind one; requests may carry an OCI specification.
pub const MAX_PAYLOAD: usize = 1 << 20;

/// Largest payload of one [`Kind::Event`] frame, in bytes. The host keeps events until it gets round
/// to them; a guest that sends a larger one has broken the protocol.
pub const MAX_EVENT: usize = 16 << 10;

/// Largest payload that a sender puts into one [`Kind::Data`] frame, in bytes.
pub const MAX_DATA: usize = 32 << 10;

/// What a frame carries, and what its `stream` field means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Kind {
    /// First frame each way: JSON [`crate::Hello`]. `stream` is 0.
    Hello = 0,
    /// JSON [`crate::Request`]; `stream` is the request's number, chosen by the host.
    Request = 1,
    /// JSON [`crate::Response`]; `stream` is the number of the request that it answers.
    Response = 2,
    /// JSON [`crate::Event`]; `stream` is 0.
    Event = 3,
    /// Bytes of byte stream `stream`.
    Data = 4,
    /// Byte stream `stream` ends here in this direction; no payload.
    Eof = 5,
    /// The receiver of `stream` has consumed more: payload is a `u32` (le) of bytes that the sender
    /// may send on top of what it already may.
    Credit = 6,
    /// The receiver of `stream` wants no more of it; the sender drops what is left and sees a
    /// broken pipe. No payload.
    Reset = 7,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Hello,
            1 => Self::Request,
            2 => Self::Response,
            3 => Self::Event,
            4 => Self::Data,
            5 => Self::Eof,
            6 => Self::Credit,
            7 => Self::Reset,
            _ => return None,
        })
    }
}

/// One frame with its payload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    pub kind: Kind,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// Returns a frame of `kind` on `stream`.
    pub fn new(kind: Kind, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, stream, payload: payload.into() }
    }

    /// Returns a [`Kind::Credit`] frame that grants `bytes` more on `stream`.
    pub fn credit(stream: u32, bytes: u32) -> Self {
        Self::new(Kind::Credit, stream, bytes.to_le_bytes())
    }

    /// Returns how many bytes a [`Kind::Credit`] frame grants; `None` if the payload is malformed.
    pub fn credit_bytes(&self) -> Option<u32> {
        Some(u32::from_le_bytes(self.payload.as_slice().try_into().ok()?))
    }

    /// Returns the header of a frame; the payload follows it on the wire.
    pub fn header(kind: Kind, stream: u32, payload_len: usize) -> [u8; HEADER_LEN] {
        debug_assert!(payload_len <= MAX_PAYLOAD);
        let mut header = [0; HEADER_LEN];
        header[..4].copy_from_slice(&(payload_len as u32).to_le_bytes());
        header[4] = kind as u8;
        header[8..].copy_from_slice(&stream.to_le_bytes());
        header
    }

    /// Appends the frame to `out` as it stands on the wire.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&Self::header(self.kind, self.stream, self.payload.len()));
        out.extend_from_slice(&self.payload);
    }
}

/// Cuts a byte stream into frames.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// Adds bytes as they came from the channel.
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.start > 0 && (self.start == self.buffer.len() || self.start > MAX_DATA) {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next whole frame, `None` if more bytes are needed.
    ///
    /// # Errors
    /// If the bytes are no frame; the channel is then unusable.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let bytes = &self.buffer[self.start..];
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        if length > MAX_PAYLOAD {
            return Err(FrameError::TooLong(length));
        }
        let kind = Kind::from_byte(header[4]).ok_or(FrameError::UnknownKind(header[4]))?;
        if header[5..8] != [0, 0, 0] {
            return Err(FrameError::Reserved);
        }
        let stream = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        let frame = Frame { kind, stream, payload: payload.to_vec() };
        self.start += HEADER_LEN + length;
        Ok(Some(frame))
    }
}

/// Bytes on the channel that are no frame.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum FrameError {
    #[error("reserved header bytes are not zero")]
    Reserved,
    #[error("frame of {0} bytes is longer than {MAX_PAYLOAD}")]
    TooLong(usize),
    #[error("unknown frame kind {0}")]
    UnknownKind(u8),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_split() {
        let frames = [
            Frame::new(Kind::Hello, 0, *b"{}"),
            Frame::credit(7, 65536),
            Frame::new(Kind::Eof, 7, []),
            Frame::new(Kind::Data, u32::MAX, vec![0xaa; MAX_DATA]),
        ];
        let mut wire = Vec::new();
        for frame in &frames {
            frame.encode(&mut wire);
        }
        for step in [1, 2, 11, 12, 13, 4096, wire.len()] {
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for chunk in wire.chunks(step) {
                decoder.extend(chunk);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, frames, "split every {step} bytes");
        }
    }

    #[test]
    fn malformed_headers_are_refused() {
        let decode = |bytes: &[u8]| {
            let mut decoder = Decoder::default();
            decoder.extend(bytes);
            decoder.next_frame()
        };
        let long = Frame::header(Kind::Data, 1, 0);
        let mut bad = long;
        bad[..4].copy_from_slice(&(MAX_PAYLOAD as u32 + 1).to_le_bytes());
        assert_eq!(decode(&bad), Err(FrameError::TooLong(MAX_PAYLOAD + 1)));
        bad = long;
        bad[4] = 99;
        assert_eq!(decode(&bad), Err(FrameError::UnknownKind(99)));
        bad = long;
        bad[6] = 1;
        assert_eq!(decode(&bad), Err(FrameError::Reserved));
    }
}
