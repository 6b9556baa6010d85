//! The keys that leave a container running and give the terminal back.

/// Finds the detach keys in what is typed. Keys that may begin the sequence are held back until it
/// is clear whether they do.
#[derive(Clone, Debug)]
pub(crate) struct DetachKeys {
    keys: Vec<u8>,
    matched: usize,
}

impl DetachKeys {
    /// Reads Docker's notation: keys with commas between them, each a character or `ctrl-` and one
    /// of `a` to `z`, `@`, `[`, `\`, `]`, `^`, `_`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let keys = text.split(',').map(key).collect::<Result<_, _>>()?;
        Ok(Self { keys, matched: 0 })
    }

    /// Returns what of `typed` the container gets, and whether the sequence is complete: what
    /// follows it is nobody's.
    pub(crate) fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(typed.len() + self.matched);
        for &byte in typed {
            if byte != self.keys[self.matched] && self.matched > 0 {
                passed.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if byte != self.keys[self.matched] {
                passed.push(byte);
                continue;
            }
            self.matched += 1;
            if self.matched == self.keys.len() {
                return (passed, true);
            }
        }
        (passed, false)
    }

    /// Returns the keys that were held back, at the end of input.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.keys[..self.matched]
    }
}

impl Default for DetachKeys {
    /// `ctrl-p,ctrl-q`.
    fn default() -> Self {
        Self { keys: vec![16, 17], matched: 0 }
    }
}

fn key(text: &str) -> Result<u8, String> {
    let unknown = || format!("Unknown character: '{text}'");
    if let &[byte] = text.as_bytes() {
        return Ok(byte);
    }
    match text.strip_prefix("ctrl-").map(str::as_bytes) {
        Some(&[byte @ b'a'..=b'z']) => Ok(byte - b'a' + 1),
        Some(b"@") => Ok(0),
        Some(&[byte @ b'['..=b'_']) => Ok(byte - b'@'),
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation_is_dockers() {
        assert_eq!(DetachKeys::parse("ctrl-p,ctrl-q").unwrap().keys, [16, 17]);
        assert_eq!(DetachKeys::parse("a,ctrl-@,ctrl-_").unwrap().keys, [b'a', 0, 31]);
        assert_eq!(DetachKeys::parse("ctrl-abc").unwrap_err(), "Unknown character: 'ctrl-abc'");
        assert!(DetachKeys::parse("").is_err());
        assert!(DetachKeys::parse("ctrl-A").is_err());
    }

    #[test]
    fn keys_are_held_back_until_it_is_clear() {
        let mut keys = DetachKeys::default();
        assert_eq!(keys.filter(b"ab\x10"), (b"ab".to_vec(), false));
        assert_eq!(keys.rest(), b"\x10");
        assert_eq!(keys.filter(b"c"), (b"\x10c".to_vec(), false));
        assert_eq!(keys.filter(b"\x10\x10\x11zz"), (b"\x10".to_vec(), true));
    }
}
