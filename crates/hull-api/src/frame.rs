//! Docker's framing of standard output and standard error on one stream (`stdcopy`): 8 bytes of
//! header (stream number, three zeros, length as 32 bits big endian), then the data.

use bytes::{BufMut as _, Bytes, BytesMut};
use hull_engine::Channel;

/// Number of the stream that reports errors of the engine within a log.
const SYSTEM_ERROR: u8 = 3;

/// Returns the header of a frame of `length` bytes.
pub(crate) fn header(channel: Channel, length: usize) -> [u8; 8] {
    let number = match channel {
        Channel::Stdout => 1,
        Channel::Stderr => 2,
    };
    numbered(number, length)
}

/// Returns a frame with an error that ends a log.
pub(crate) fn system_error(message: &str) -> Bytes {
    let mut frame = BytesMut::with_capacity(8 + message.len());
    frame.put_slice(&numbered(SYSTEM_ERROR, message.len()));
    frame.put_slice(message.as_bytes());
    frame.freeze()
}

fn numbered(stream: u8, length: usize) -> [u8; 8] {
    // No piece of output is near 4 GiB: those of the guest channel have at most a window.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let [a, b, c, d] = length.to_be_bytes();
    [stream, 0, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_stdcopys() {
        assert_eq!(header(Channel::Stdout, 0x0102_0304), [1, 0, 0, 0, 1, 2, 3, 4]);
        assert_eq!(header(Channel::Stderr, 5), [2, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(&system_error("no")[..], b"\x03\0\0\0\0\0\0\x02no");
    }
}
