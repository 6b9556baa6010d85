//! The configuration that a kernel carries (CONFIG_IKCONFIG).

use std::collections::HashSet;
use std::io::Read;

use flate2::read::GzDecoder;

use crate::shape::Arch;

use super::KernelFacts;
use super::format::{Format, find};

/// Returns the configuration's text; `None` if there is none, as in a compressed kernel.
pub(super) fn extract(image: &[u8]) -> Option<String> {
    let start = find(image, b"IKCFG_ST")? + 8;
    let size = find(&image[start..], b"IKCFG_ED")?;
    let mut text = String::new();
    GzDecoder::new(&image[start..start + size]).take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Judges the configuration: an error if Hull cannot work with it.
pub(super) fn judge(
    text: &str,
    arch: Arch,
    format: Format,
    facts: &mut KernelFacts,
) -> Result<(), String> {
    let built_in: HashSet<_> =
        text.lines().filter_map(|line| line.strip_prefix("CONFIG_")?.strip_suffix("=y")).collect();
    facts.hz = text.lines().find_map(|line| line.strip_prefix("CONFIG_HZ=")?.parse().ok());
    let missing = |names: &[&str]| -> Vec<String> {
        names
            .iter()
            .filter(|name| !built_in.contains(**name))
            .map(|name| format!("CONFIG_{name}"))
            .collect()
    };
    let mut lacking = missing(NEEDED);
    if arch == Arch::X86_64 {
        lacking.extend(missing(&["ACPI"]));
    }
    if format == Format::Vmlinux {
        lacking.extend(missing(&["PVH"]));
    }
    if !lacking.is_empty() {
        return Err(format!("it lacks {} (modules do not count)", lacking.join(", ")));
    }
    for (option, consequence) in WANTED {
        if !built_in.contains(option) {
            facts.warnings.push(format!("without CONFIG_{option}: {consequence}"));
        }
    }
    Ok(())
}

const NEEDED: &[&str] = &[
    "64BIT",
    "BINFMT_ELF",
    "BLK_DEV_INITRD",
    "CFS_BANDWIDTH",
    "CGROUPS",
    "CGROUP_BPF",
    "CGROUP_PIDS",
    "DEVTMPFS",
    "EPOLL",
    "EROFS_FS",
    "EXT4_FS",
    "FUTEX",
    "IPC_NS",
    "MEMCG",
    "NAMESPACES",
    "NET_NS",
    "OVERLAY_FS",
    "PCI",
    "PCI_MSI",
    "PID_NS",
    "PROC_FS",
    "SECCOMP_FILTER",
    "SYSFS",
    "TMPFS",
    "UNIX98_PTYS",
    "UTS_NS",
    "VIRTIO_BLK",
    "VIRTIO_CONSOLE",
    "VIRTIO_PCI",
];

const WANTED: &[(&str, &str)] = &[
    ("EROFS_FS_POSIX_ACL", "access control lists of images are ignored"),
    ("EROFS_FS_XATTR", "file capabilities of images are ignored"),
    ("EXT4_FS_POSIX_ACL", "no access control lists"),
    ("HOTPLUG_PCI_ACPI", "no devices for running containers"),
    ("HW_RANDOM_VIRTIO", "random numbers come from the agent only"),
    ("IA32_EMULATION", "no 32-bit programs"),
    ("PAGE_REPORTING", "free memory is not given back to the host"),
    ("POSIX_MQUEUE", "no /dev/mqueue"),
    ("SMP", "one CPU only"),
    ("TMPFS_XATTR", "no extended attributes on tmpfs"),
    ("USER_NS", "no user namespaces in containers"),
    ("VIRTIO_BALLOON", "free memory is not given back to the host"),
    ("VIRTIO_NET", "no networks"),
];

/// A configuration has about 100 KiB.
const LONGEST: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn configuration() -> String {
        let mut names: Vec<_> = NEEDED.to_vec();
        names.extend(["ACPI", "PVH", "SMP"]);
        let lines = names.iter().map(|name| format!("CONFIG_{name}=y\n"));
        lines.collect::<String>() + "CONFIG_HZ=250\n# CONFIG_VIRTIO_NET is not set\n"
    }

    fn judged(text: &str) -> Result<KernelFacts, String> {
        let mut facts = KernelFacts::default();
        judge(text, Arch::X86_64, Format::Vmlinux, &mut facts).map(|()| facts)
    }

    #[test]
    fn configurations_are_found_in_kernels() {
        let mut blob = GzEncoder::new(Vec::new(), Compression::default());
        blob.write_all(b"CONFIG_HZ=100\n").unwrap();
        let image = [b"code IKCFG_ST", &blob.finish().unwrap()[..], b"IKCFG_ED"].concat();
        assert_eq!(extract(&image).unwrap(), "CONFIG_HZ=100\n");
        assert_eq!(extract(b"IKCFG_ST no gzip IKCFG_ED"), None);
        assert_eq!(extract(b"IKCFG_ST"), None);
    }

    #[test]
    fn what_is_needed_must_be_built_in() {
        let facts = judged(&configuration()).unwrap();
        assert_eq!(facts.hz, Some(250));
        assert!(facts.warnings.contains(&"without CONFIG_VIRTIO_NET: no networks".to_owned()));
        assert!(!facts.warnings.iter().any(|warning| warning.contains("CONFIG_SMP")));
        let modular = configuration().replace("CONFIG_VIRTIO_BLK=y", "CONFIG_VIRTIO_BLK=m");
        assert_eq!(
            judged(&modular).unwrap_err(),
            "it lacks CONFIG_VIRTIO_BLK (modules do not count)"
        );
    }
}
