//! The options of mount(8) as an OCI specification lists them.

use rustix::mount::{MountFlags, MountPropagationFlags};

/// Options of one mount, sorted out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Options {
    pub(crate) flags: MountFlags,
    pub(crate) bind: bool,
    pub(crate) recursive: bool,
    /// `tmpcopyup`: a tmpfs starts with a copy of what it covers.
    pub(crate) copy_up: bool,
    /// Propagation changes, in order.
    pub(crate) propagation: Vec<MountPropagationFlags>,
    /// `MOUNT_ATTR_*` to set and to clear on the mount and all below it (`rro` and its like).
    pub(crate) recursive_set: u64,
    pub(crate) recursive_clear: u64,
    /// What is left for the file system itself.
    pub(crate) data: String,
}

impl Options {
    pub(crate) fn parse(options: &[String]) -> Self {
        let mut parsed = Self {
            flags: MountFlags::empty(),
            bind: false,
            recursive: false,
            copy_up: false,
            propagation: Vec::new(),
            recursive_set: 0,
            recursive_clear: 0,
            data: String::new(),
        };
        for option in options {
            parsed.add(option);
        }
        parsed
    }

    fn add(&mut self, option: &str) {
        if let Some((set, flags)) = flag(option) {
            self.flags.set(flags, set);
        } else if let Some(propagation) = propagation(option) {
            self.propagation.push(propagation);
        } else if let Some((set, clear)) = recursive_attribute(option) {
            self.recursive_set = self.recursive_set & !clear | set;
            self.recursive_clear = self.recursive_clear & !set | clear;
        } else {
            match option {
                "defaults" | "" => {}
                "bind" => self.bind = true,
                "rbind" => {
                    self.bind = true;
                    self.recursive = true;
                }
                "tmpcopyup" => self.copy_up = true,
                option => {
                    if !self.data.is_empty() {
                        self.data.push(',');
                    }
                    self.data.push_str(option);
                }
            }
        }
    }
}

/// Returns the flag behind an option, and whether the option sets or clears it.
fn flag(option: &str) -> Option<(bool, MountFlags)> {
    Some(match option {
        "async" => (false, MountFlags::SYNCHRONOUS),
        "atime" => (false, MountFlags::NOATIME),
        "dev" => (false, MountFlags::NODEV),
        "diratime" => (false, MountFlags::NODIRATIME),
        "dirsync" => (true, MountFlags::DIRSYNC),
        "exec" => (false, MountFlags::NOEXEC),
        "iversion" => (true, MountFlags::from_bits_retain(1 << 23)),
        "lazytime" => (true, MountFlags::LAZYTIME),
        "loud" => (false, MountFlags::SILENT),
        "mand" => (true, MountFlags::PERMIT_MANDATORY_FILE_LOCKING),
        "noatime" => (true, MountFlags::NOATIME),
        "nodev" => (true, MountFlags::NODEV),
        "nodiratime" => (true, MountFlags::NODIRATIME),
        "noexec" => (true, MountFlags::NOEXEC),
        "noiversion" => (false, MountFlags::from_bits_retain(1 << 23)),
        "nolazytime" => (false, MountFlags::LAZYTIME),
        "nomand" => (false, MountFlags::PERMIT_MANDATORY_FILE_LOCKING),
        "norelatime" => (false, MountFlags::RELATIME),
        "nostrictatime" => (false, MountFlags::STRICTATIME),
        "nosuid" => (true, MountFlags::NOSUID),
        "nosymfollow" => (true, MountFlags::from_bits_retain(256)),
        "relatime" => (true, MountFlags::RELATIME),
        "ro" => (true, MountFlags::RDONLY),
        "rw" => (false, MountFlags::RDONLY),
        "silent" => (true, MountFlags::SILENT),
        "strictatime" => (true, MountFlags::STRICTATIME),
        "suid" => (false, MountFlags::NOSUID),
        "symfollow" => (false, MountFlags::from_bits_retain(256)),
        "sync" => (true, MountFlags::SYNCHRONOUS),
        _ => return None,
    })
}

/// Returns the propagation behind an option or the name of one (`linux.rootfsPropagation`).
pub(crate) fn propagation(option: &str) -> Option<MountPropagationFlags> {
    use MountPropagationFlags as Flags;

    Some(match option {
        "private" => Flags::PRIVATE,
        "rprivate" => Flags::PRIVATE | Flags::REC,
        "rshared" => Flags::SHARED | Flags::REC,
        "rslave" => Flags::DOWNSTREAM | Flags::REC,
        "runbindable" => Flags::UNBINDABLE | Flags::REC,
        "shared" => Flags::SHARED,
        "slave" => Flags::DOWNSTREAM,
        "unbindable" => Flags::UNBINDABLE,
        _ => return None,
    })
}

/// Returns the `MOUNT_ATTR_*` that an option sets and clears recursively.
fn recursive_attribute(option: &str) -> Option<(u64, u64)> {
    const RDONLY: u64 = 1;
    const NOSUID: u64 = 2;
    const NODEV: u64 = 4;
    const NOEXEC: u64 = 8;
    const ATIME_MASK: u64 = 0x70;
    const NOATIME: u64 = 0x10;
    const STRICTATIME: u64 = 0x20;
    const NODIRATIME: u64 = 0x80;
    const NOSYMFOLLOW: u64 = 0x20_0000;

    Some(match option {
        "rro" => (RDONLY, 0),
        "rrw" => (0, RDONLY),
        "rnosuid" => (NOSUID, 0),
        "rsuid" => (0, NOSUID),
        "rnodev" => (NODEV, 0),
        "rdev" => (0, NODEV),
        "rnoexec" => (NOEXEC, 0),
        "rexec" => (0, NOEXEC),
        "rnodiratime" => (NODIRATIME, 0),
        "rdiratime" => (0, NODIRATIME),
        "rnoatime" => (NOATIME, ATIME_MASK),
        "rstrictatime" => (STRICTATIME, ATIME_MASK),
        "rrelatime" | "ratime" | "rnorelatime" | "rnostrictatime" => (0, ATIME_MASK),
        "rnosymfollow" => (NOSYMFOLLOW, 0),
        "rsymfollow" => (0, NOSYMFOLLOW),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &str) -> Options {
        let options: Vec<String> = options.split(',').map(String::from).collect();
        Options::parse(&options)
    }

    #[test]
    fn flags_and_data_are_told_apart() {
        let options = parse("nosuid,strictatime,mode=755,noexec,size=65536k,exec");
        assert_eq!(options.flags, MountFlags::NOSUID | MountFlags::STRICTATIME);
        assert_eq!(options.data, "mode=755,size=65536k");
        assert!(!options.bind);
    }

    #[test]
    fn binds_and_propagation_are_kept() {
        let options = parse("rbind,ro,rslave,rnosuid,tmpcopyup");
        assert!(options.bind && options.recursive && options.copy_up);
        assert_eq!(options.flags, MountFlags::RDONLY);
        let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        assert_eq!(options.propagation, [slave]);
        assert_eq!((options.recursive_set, options.recursive_clear), (2, 0));
        assert_eq!(options.data, "");
    }
}
