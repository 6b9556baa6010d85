//! The kernel's log, as it goes to the host.

use hull_protocol::frame::MAX_EVENT;

/// Cuts the log into texts that each fit into one event, whatever bytes are in it.
pub(crate) fn pieces(log: &[u8]) -> impl Iterator<Item = String> {
    log.chunks(PIECE).map(|piece| String::from_utf8_lossy(piece).into_owned())
}

/// One byte becomes at most six of JSON (`\u001b`).
const PIECE: usize = MAX_EVENT / 8;

#[cfg(test)]
mod tests {
    use super::*;
    use hull_protocol::Event;

    #[test]
    fn no_piece_is_too_long_for_an_event() {
        for byte in [b'a', b'\n', 0x1b, 0xff] {
            let log = vec![byte; 64 << 10];
            let mut length = 0;
            for text in pieces(&log) {
                length += text.chars().count();
                let json = serde_json::to_vec(&Event::KernelLog { text }).unwrap();
                assert!(json.len() <= MAX_EVENT, "{byte}: {}", json.len());
            }
            assert_eq!(length, log.len());
        }
    }
}
