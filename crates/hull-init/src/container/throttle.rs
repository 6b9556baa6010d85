//! Limits of block I/O: `io.max` of a cgroup (Linux `Documentation/admin-guide/cgroup-v2.rst`).
//!
//! The devices that a specification names are the host's. What a container does there it does through
//! the disks of its machine: so these are what is limited, each.

use hull_spec::{BlockIo, ThrottleDevice};

/// Returns the lines to write, one for each disk; none where nothing is limited.
pub(super) fn lines(limits: &BlockIo, disks: &[String]) -> Vec<String> {
    let keys = [
        ("rbps", &limits.throttle_read_bps_device),
        ("wbps", &limits.throttle_write_bps_device),
        ("riops", &limits.throttle_read_iops_device),
        ("wiops", &limits.throttle_write_iops_device),
    ];
    // Of several devices the slowest counts: the container's own disk is on all of them.
    let slowest = |devices: &[ThrottleDevice]| {
        devices.iter().map(|device| device.rate).filter(|rate| *rate > 0).min()
    };
    let set: String = keys
        .iter()
        .filter_map(|(key, devices)| Some(format!(" {key}={}", slowest(devices)?)))
        .collect();
    if set.is_empty() {
        return Vec::new();
    }
    disks.iter().map(|disk| format!("{disk}{set}")).collect()
}

/// Returns the numbers of the machine's disks, `major:minor`.
pub(super) fn disks() -> Vec<String> {
    let entries = std::fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let disks = entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"vd"));
    let numbers = disks.filter_map(|disk| std::fs::read_to_string(disk.path().join("dev")).ok());
    numbers.map(|number| number.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_disk_has_the_lowest_limits() {
        let limit = |rate| ThrottleDevice { major: 8, minor: 0, rate };
        let limits = BlockIo {
            throttle_read_bps_device: vec![limit(4096), limit(1024), limit(0)],
            throttle_write_iops_device: vec![limit(10)],
            ..BlockIo::default()
        };
        let disks = ["254:0".to_owned(), "254:16".to_owned()];
        assert_eq!(
            lines(&limits, &disks),
            ["254:0 rbps=1024 wiops=10", "254:16 rbps=1024 wiops=10"]
        );
        assert!(lines(&BlockIo::default(), &disks).is_empty());
    }
}
