//! The mode of a mount: what follows the second colon of `-v`.

/// Whether Docker accepts a mode: of every group of words at most one, and no other words.
pub(super) fn is_valid(mode: &str) -> bool {
    if mode.is_empty() {
        return true;
    }
    let mut groups = Vec::new();
    mode.split(',').all(|word| match group(word) {
        Some(group) if !groups.contains(&group) => {
            groups.push(group);
            true
        }
        _ => false,
    })
}

/// Whether a mode allows writing.
pub(super) fn is_writable(mode: &str) -> bool {
    mode.split(',').all(|word| word != "ro")
}

/// Returns the propagation that a mode names; empty if it names none.
pub(super) fn propagation(mode: &str) -> &str {
    mode.split(',').find(|word| is_propagation(word)).unwrap_or("")
}

/// Whether a mode says that a volume is not to be filled.
pub(super) fn is_no_copy(mode: &str) -> bool {
    mode.split(',').any(|word| word == "nocopy")
}

pub(super) fn is_propagation(word: &str) -> bool {
    matches!(word, "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared")
}

fn group(word: &str) -> Option<&'static str> {
    Some(match word {
        "ro" | "rw" => "access",
        "z" | "Z" => "label",
        "nocopy" => "copy",
        "consistent" | "cached" | "delegated" | "default" => "consistency",
        word if is_propagation(word) => "propagation",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        for mode in ["", "ro", "rw,z", "Z,nocopy", "rslave,ro", "cached"] {
            assert!(is_valid(mode), "{mode}");
        }
        for mode in ["ro,rw", "foo", "ro,", "z,Z", "shared,slave", "RO"] {
            assert!(!is_valid(mode), "{mode}");
        }
        assert!(!is_writable("z,ro") && is_writable("rw") && is_writable(""));
        assert_eq!(propagation("ro,rslave"), "rslave");
    }
}
