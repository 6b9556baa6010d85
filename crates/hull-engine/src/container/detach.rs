//! Keys that detach a client from a terminal.

use crate::{Error, Result};

/// Finds the detach keys in what a user types. Keys that may be the beginning of the sequence are
/// held back until it is clear that they are not.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    sequence: Vec<u8>,
    /// How much of the sequence has been typed.
    typed: usize,
}

/// What came of some input.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Typed {
    /// To pass on.
    pub(crate) data: Vec<u8>,
    /// The keys were typed after that.
    pub(crate) detach: bool,
}

impl Keys {
    /// Reads Docker's notation: keys separated by commas, each a character or `ctrl-` and one of
    /// `a` to `z`, `@`, `[`, `\`, `]`, `^`, `_`. `None` and empty: `ctrl-p,ctrl-q`.
    pub(crate) fn parse(text: Option<&str>, what: &str) -> Result<Self> {
        let sequence = match text {
            None | Some("") => DEFAULT.to_vec(),
            Some(text) => {
                text.split(',').map(key).collect::<Option<Vec<u8>>>().ok_or_else(|| {
                    Error::InvalidParameter(format!("Invalid {what} keys ({text}) provided"))
                })?
            }
        };
        Ok(Self { sequence, typed: 0 })
    }

    /// Takes input. What follows the keys is dropped.
    pub(crate) fn take(&mut self, input: &[u8]) -> Typed {
        let mut data = Vec::with_capacity(input.len() + self.typed);
        for byte in input {
            if *byte == self.sequence[self.typed] {
                self.typed += 1;
                if self.typed == self.sequence.len() {
                    self.typed = 0;
                    return Typed { data, detach: true };
                }
                continue;
            }
            data.extend_from_slice(&self.sequence[..self.typed]);
            self.typed = usize::from(*byte == self.sequence[0]);
            if self.typed == 0 {
                data.push(*byte);
            }
        }
        Typed { data, detach: false }
    }
}

fn key(text: &str) -> Option<u8> {
    if let [byte] = text.as_bytes() {
        return Some(*byte);
    }
    let [control] = text.strip_prefix("ctrl-")?.as_bytes() else {
        return None;
    };
    match control {
        b'a'..=b'z' => Some(control - b'a' + 1),
        b'@' => Some(0),
        b'[' | b'\\' | b']' | b'^' | b'_' => Some(control - b'[' + 27),
        _ => None,
    }
}

/// `ctrl-p,ctrl-q`.
const DEFAULT: &[u8] = &[16, 17];

#[cfg(test)]
mod tests {
    use super::*;

    fn take(keys: &mut Keys, input: &[u8]) -> (Vec<u8>, bool) {
        let typed = keys.take(input);
        (typed.data, typed.detach)
    }

    #[test]
    fn keys_are_found_across_pieces() {
        let mut keys = Keys::parse(None, "detach").unwrap();
        assert_eq!(take(&mut keys, b"ls\x10"), (b"ls".to_vec(), false));
        assert_eq!(take(&mut keys, b"\x11rest"), (vec![], true));
    }

    #[test]
    fn a_sequence_that_breaks_off_is_passed_on() {
        let mut keys = Keys::parse(Some("ctrl-p,ctrl-p,x"), "detach").unwrap();
        assert_eq!(take(&mut keys, b"\x10a"), (b"\x10a".to_vec(), false));
        assert_eq!(take(&mut keys, b"\x10\x10"), (vec![], false));
        assert_eq!(take(&mut keys, b"y"), (b"\x10\x10y".to_vec(), false));
    }

    #[test]
    fn notation_is_dockers() {
        let keys = Keys::parse(Some("ctrl-@,ctrl-[,ctrl-_,a,ctrl-z"), "detach").unwrap();
        assert_eq!(keys.sequence, [0, 27, 31, b'a', 26]);
        for text in ["ctrl-", "ctrl-A", "ab", "ctrl-p,", "ctrl-1"] {
            let error = Keys::parse(Some(text), "detach").unwrap_err();
            assert_eq!(error.to_string(), format!("Invalid detach keys ({text}) provided"));
        }
    }
}
