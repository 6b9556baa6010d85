//! Limits of memory, CPUs, block devices and processes, and device nodes.

use serde_json::{Value as Json, json};

use super::sparse::Sparse;
use super::{Cpus, Memory, MemorySwap};
use crate::error::Failure;
use crate::flags::FlagSet;

/// What `run`, `create` and `update` can limit.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    blkio_weight: i64,
    cpu_period: i64,
    cpu_quota: i64,
    cpu_rt_period: i64,
    cpu_rt_runtime: i64,
    cpu_shares: i64,
    cpus: Cpus,
    cpuset_cpus: String,
    cpuset_mems: String,
    memory: Memory,
    memory_reservation: Memory,
    memory_swap: MemorySwap,
    pids_limit: Option<i64>,
}

impl Limits {
    /// Adds the flags.
    #[rustfmt::skip]
    pub(crate) fn register<'a>(&'a mut self, flags: &mut FlagSet<'a>) {
        flags.long(&mut self.blkio_weight, "blkio-weight", "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)");
        flags.long(&mut self.cpu_period, "cpu-period", "Limit CPU CFS (Completely Fair Scheduler) period");
        flags.long(&mut self.cpu_quota, "cpu-quota", "Limit CPU CFS (Completely Fair Scheduler) quota");
        flags.long(&mut self.cpu_rt_period, "cpu-rt-period", "Limit the CPU real-time period in microseconds");
        flags.long(&mut self.cpu_rt_runtime, "cpu-rt-runtime", "Limit the CPU real-time runtime in microseconds");
        flags.both(&mut self.cpu_shares, 'c', "cpu-shares", "CPU shares (relative weight)");
        flags.long(&mut self.cpus, "cpus", "Number of CPUs (2 if not given)");
        flags.long(&mut self.cpuset_cpus, "cpuset-cpus", "CPUs in which to allow execution (0-3, 0,1)");
        flags.long(&mut self.cpuset_mems, "cpuset-mems", "MEMs in which to allow execution (0-3, 0,1)");
        flags.both(&mut self.memory, 'm', "memory", "Memory limit (1 GiB if not given)");
        flags.long(&mut self.memory_reservation, "memory-reservation", "Memory soft limit");
        flags.long(&mut self.memory_swap, "memory-swap", "Swap limit equal to memory plus swap: '-1' to enable unlimited swap");
        flags.long(&mut self.pids_limit, "pids-limit", "Tune container pids limit (set -1 for unlimited)");
    }

    /// Adds what was given, as Docker's `Resources`.
    pub(crate) fn fill(&self, host: &mut Sparse) {
        host.put("BlkioWeight", json!(self.blkio_weight));
        host.put("CpuPeriod", json!(self.cpu_period));
        host.put("CpuQuota", json!(self.cpu_quota));
        host.put("CpuRealtimePeriod", json!(self.cpu_rt_period));
        host.put("CpuRealtimeRuntime", json!(self.cpu_rt_runtime));
        host.put("CpuShares", json!(self.cpu_shares));
        host.put("CpusetCpus", json!(self.cpuset_cpus));
        host.put("CpusetMems", json!(self.cpuset_mems));
        host.put("Memory", json!(self.memory.0));
        host.put("MemoryReservation", json!(self.memory_reservation.0));
        host.put("MemorySwap", json!(self.memory_swap.0));
        host.put("NanoCpus", json!(self.cpus.0));
        host.put("PidsLimit", json!(self.pids_limit));
    }
}

/// What only a new container can be given.
#[derive(Debug, Default)]
pub(super) struct Devices {
    blkio_weight_device: Vec<String>,
    cgroup_parent: String,
    device: Vec<String>,
    device_cgroup_rule: Vec<String>,
    device_read_bps: Vec<String>,
    device_read_iops: Vec<String>,
    device_write_bps: Vec<String>,
    device_write_iops: Vec<String>,
    gpus: Vec<String>,
    memory_swappiness: Option<i64>,
    oom_kill_disable: bool,
    oom_score_adj: i64,
}

impl Devices {
    /// Adds the flags.
    #[rustfmt::skip]
    pub(super) fn register<'a>(&'a mut self, flags: &mut FlagSet<'a>) {
        flags.long(&mut self.blkio_weight_device, "blkio-weight-device", "Block IO weight (relative device weight)");
        flags.long(&mut self.cgroup_parent, "cgroup-parent", "Optional parent cgroup for the container");
        flags.long(&mut self.device, "device", "Add a device of the container's machine to the container");
        flags.long(&mut self.device_cgroup_rule, "device-cgroup-rule", "Add a rule to the cgroup allowed devices list");
        flags.long(&mut self.device_read_bps, "device-read-bps", "Limit read rate (bytes per second) from a device");
        flags.long(&mut self.device_read_iops, "device-read-iops", "Limit read rate (IO per second) from a device");
        flags.long(&mut self.device_write_bps, "device-write-bps", "Limit write rate (bytes per second) to a device");
        flags.long(&mut self.device_write_iops, "device-write-iops", "Limit write rate (IO per second) to a device");
        flags.long(&mut self.gpus, "gpus", "GPU devices to add to the container ('all' to pass all GPUs)");
        flags.long(&mut self.memory_swappiness, "memory-swappiness", "Tune container memory swappiness (0 to 100) (default -1)");
        flags.long(&mut self.oom_kill_disable, "oom-kill-disable", "Disable OOM Killer");
        flags.long(&mut self.oom_score_adj, "oom-score-adj", "Tune host's OOM preferences (-1000 to 1000)");
    }

    /// Adds what was given, as Docker's `HostConfig`.
    pub(super) fn fill(&self, host: &mut Sparse) -> Result<(), Failure> {
        let devices = self.device.iter().map(|text| device(text)).collect::<Result<Vec<_>, _>>()?;
        host.put("Devices", json!(devices));
        for rule in &self.device_cgroup_rule {
            if !is_rule(rule) {
                return Err(Failure::new(format!("invalid device cgroup format '{rule}'")));
            }
        }
        if let Some(value) = self.memory_swappiness.filter(|value| !(-1..=100).contains(value)) {
            return Err(Failure::new(format!(
                "invalid value: {value}. Valid memory swappiness range is 0-100"
            )));
        }
        host.put("DeviceCgroupRules", json!(self.device_cgroup_rule));
        host.put("CgroupParent", json!(self.cgroup_parent));
        host.put("MemorySwappiness", json!(self.memory_swappiness));
        host.put("OomKillDisable", json!(self.oom_kill_disable));
        host.put("OomScoreAdj", json!(self.oom_score_adj));
        let rates = [
            ("BlkioDeviceReadBps", &self.device_read_bps),
            ("BlkioDeviceReadIOps", &self.device_read_iops),
            ("BlkioDeviceWriteBps", &self.device_write_bps),
            ("BlkioDeviceWriteIOps", &self.device_write_iops),
            ("BlkioWeightDevice", &self.blkio_weight_device),
        ];
        for (name, given) in rates {
            let limits = given.iter().map(|text| rate(name, text));
            host.put(name, json!(limits.collect::<Result<Vec<_>, _>>()?));
        }
        if !self.gpus.is_empty() {
            host.put("DeviceRequests", json!([{"Count": -1, "Capabilities": [["gpu"]]}]));
        }
        Ok(())
    }
}

/// Reads `path[:path in the container][:permissions]` as docker's client does.
fn device(text: &str) -> Result<Json, Failure> {
    let permissions = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| "rwm".contains(c))
            && text.chars().all(|c| text.matches(c).count() == 1)
    };
    let wrong = || Failure::new(format!("invalid device specification: {text}"));
    let (outside, inside, access) = match text.split(':').collect::<Vec<_>>()[..] {
        [path] => (path, path, "rwm"),
        [path, access] if permissions(access) => (path, path, access),
        [path, inside] => (path, inside, "rwm"),
        [path, inside, access] if permissions(access) => (path, inside, access),
        [_, _, access] => {
            return Err(Failure::new(format!("{access} is not a valid mode for device")));
        }
        _ => return Err(wrong()),
    };
    if !inside.starts_with('/') {
        return Err(Failure::new(format!("bad format for path: {text}")));
    }
    Ok(json!({"PathOnHost": outside, "PathInContainer": inside, "CgroupPermissions": access}))
}

/// moby's `deviceCgroupRuleRegexp`: `^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$`.
fn is_rule(text: &str) -> bool {
    let [kind, numbers, access] = text.split(' ').collect::<Vec<_>>()[..] else {
        return false;
    };
    let number = |text: &str| {
        text == "*" || !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    matches!(kind, "a" | "b" | "c")
        && numbers.split_once(':').is_some_and(|(major, minor)| number(major) && number(minor))
        && (1..=3).contains(&access.len())
        && access.chars().all(|c| "rwm".contains(c))
}

/// Reads `path:rate`.
fn rate(name: &str, text: &str) -> Result<Json, Failure> {
    let wrong = |why: &str| Failure::new(format!("{why}: {text}"));
    let (path, value) = text.split_once(':').ok_or_else(|| wrong("bad format"))?;
    if !path.starts_with("/dev/") {
        return Err(wrong("bad format for device path"));
    }
    let key = if name == "BlkioWeightDevice" { "Weight" } else { "Rate" };
    let value = match name.ends_with("Bps") {
        true => hull_format::ram_in_bytes(value).ok(),
        false => value.parse().ok(),
    };
    let unit = match name.ends_with("Bps") {
        true => {
            "<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        }
        false => "<number>. Number must be a positive integer",
    };
    let value = value.filter(|value: &i64| *value >= 0).ok_or_else(|| {
        Failure::new(format!(
            "invalid rate for device: {text}. The correct format is <device-path>:{unit}"
        ))
    })?;
    Ok(json!({"Path": path, key: value}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_docker_reads_them() {
        let read = |text| device(text).map_err(|failure| failure.to_string());
        let json = |outside, inside, access| {
            Ok(
                json!({"PathOnHost": outside, "PathInContainer": inside, "CgroupPermissions": access}),
            )
        };
        assert_eq!(read("/dev/fuse"), json("/dev/fuse", "/dev/fuse", "rwm"));
        assert_eq!(read("/dev/fuse:r"), json("/dev/fuse", "/dev/fuse", "r"));
        assert_eq!(read("/dev/fuse:/dev/x"), json("/dev/fuse", "/dev/x", "rwm"));
        assert_eq!(read("/dev/fuse:/dev/x:rw"), json("/dev/fuse", "/dev/x", "rw"));
        assert!(read("/dev/fuse:/dev/x:rr").is_err());
        assert!(read("a:b:c:d").is_err());
    }

    #[test]
    fn rules() {
        for rule in ["c 42:* rwm", "a *:* r", "b 7:0 rm"] {
            assert!(is_rule(rule), "{rule}");
        }
        for rule in ["", "x 1:1 r", "c 1 r", "c 1:1 rwmr", "c 1:1 z", "c  1:1 r"] {
            assert!(!is_rule(rule), "{rule}");
        }
    }
}
