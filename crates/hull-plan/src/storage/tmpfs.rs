//! Options of temporary file systems.

use super::MountConfig;
use crate::Error;

/// Returns the options of a `Mount` object as `--tmpfs` has them.
pub(super) fn of(mount: &MountConfig) -> String {
    let mut all = Vec::new();
    if mount.read_only {
        all.push("ro".to_owned());
    }
    if let Some(options) = &mount.tmpfs_options {
        if options.mode != 0 {
            all.push(format!("mode={:o}", options.mode));
        }
        if options.size_bytes != 0 {
            all.push(format!("size={}", size(options.size_bytes)));
        }
        all.extend(options.options.iter().map(|option| option.join("=")));
    }
    all.join(",")
}

/// As Docker writes it: in the largest unit that leaves no remainder.
fn size(bytes: i64) -> String {
    for (shift, suffix) in [(30, "g"), (20, "m"), (10, "k")] {
        if bytes % (1 << shift) == 0 {
            return format!("{}{suffix}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// Merges the user's options over Docker's defaults: of options that contradict each other the
/// last one stays, in its place.
pub(crate) fn options(text: &str) -> Result<Vec<String>, Error> {
    let mut options = vec!["noexec", "nosuid", "nodev", "rprivate"];
    if !text.is_empty() {
        options.extend(text.split(','));
    }
    let mut seen = Vec::new();
    let mut merged = Vec::new();
    for option in options.into_iter().rev().filter(|option| *option != "defaults") {
        let Some(subject) = subject(option) else {
            let name = option.split('=').next().unwrap_or(option);
            return Err(Error::invalid(format!("invalid tmpfs option [\"{name}\"]")));
        };
        if !seen.contains(&subject) {
            seen.push(subject);
            merged.push(option.to_owned());
        }
    }
    merged.reverse();
    Ok(merged)
}

/// What an option is about: two options about the same contradict each other.
fn subject(option: &str) -> Option<&str> {
    if let Some((name, _)) = option.split_once('=') {
        const VALUES: [&str; 7] = ["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"];
        return VALUES.contains(&name).then_some(name);
    }
    Some(match option {
        "ro" | "rw" => "ro",
        "suid" | "nosuid" => "nosuid",
        "dev" | "nodev" => "nodev",
        "exec" | "noexec" => "noexec",
        "sync" | "async" => "sync",
        "dirsync" => "dirsync",
        "remount" => "remount",
        "mand" | "nomand" => "mand",
        "atime" | "noatime" => "noatime",
        "diratime" | "nodiratime" => "nodiratime",
        "relatime" | "norelatime" => "relatime",
        "strictatime" | "nostrictatime" => "strictatime",
        "bind" | "rbind" | "unbindable" | "runbindable" | "private" | "rprivate" | "shared"
        | "rshared" | "slave" | "rslave" => "propagation",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_temporary_file_systems() {
        for (text, merged) in [
            ("", "noexec,nosuid,nodev,rprivate"),
            ("defaults", "noexec,nosuid,nodev,rprivate"),
            ("rw,size=1m,exec", "nosuid,nodev,rprivate,rw,size=1m,exec"),
            ("size=1m,noexec,exec", "nosuid,nodev,rprivate,size=1m,exec"),
            ("mode=1777,uid=5,rshared", "noexec,nosuid,nodev,mode=1777,uid=5,rshared"),
            ("size=1m,mode=1777,size=2m", "noexec,nosuid,nodev,rprivate,mode=1777,size=2m"),
        ] {
            assert_eq!(options(text).unwrap().join(","), merged, "{text}");
        }
        for (text, name) in [("foo", "foo"), ("rw,foo=1", "foo"), ("rw,", "")] {
            let message = options(text).unwrap_err().to_string();
            assert_eq!(message, format!("invalid tmpfs option [\"{name}\"]"));
        }
    }
}
