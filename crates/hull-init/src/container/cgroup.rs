//! The cgroup (v2) of a container: limits, freezer, and what it says about its processes.

use std::fs;
use std::os::fd::OwnedFd;

use hull_spec::Resources;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::container::{device_filter, throttle};
use crate::failure::{Context, Failure, Result, errno_text};
use crate::sys;

const MOUNT: &str = "/sys/fs/cgroup";

/// One container's cgroup.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: String,
}

impl Cgroup {
    /// Makes the cgroup `path` below the guest's root, with every controller there is.
    pub(crate) fn create(path: &str) -> Result<Self> {
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if parts.is_empty() || parts.iter().any(|part| matches!(*part, "." | "..")) {
            return Err(Failure::invalid(format!("malformed cgroup path {path:?}")));
        }
        let controllers = read(&format!("{MOUNT}/cgroup.controllers"))?;
        let enable: Vec<String> = controllers
            .split_ascii_whitespace()
            .map(|controller| format!("+{controller}"))
            .collect();
        let enable = enable.join(" ");
        let mut current = MOUNT.to_owned();
        let leaf = parts.pop().unwrap_or_default();
        write(&format!("{current}/cgroup.subtree_control"), &enable)?;
        for part in parts {
            current = format!("{current}/{part}");
            make(&current)?;
            write(&format!("{current}/cgroup.subtree_control"), &enable)?;
        }
        let path = format!("{current}/{leaf}");
        // One of the same name is what a container left behind that was removed half.
        let _ = fs::remove_dir(&path);
        make(&path)?;
        Ok(Self { path })
    }

    /// Returns where the cgroup `path` is in the file system.
    pub(crate) fn place(path: &str) -> String {
        format!("{MOUNT}/{}", path.trim_matches('/'))
    }

    /// Where it is in the file system.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Opens the directory, for clone3(2).
    pub(crate) fn open(&self) -> Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::open(self.path.as_str(), flags, Mode::empty())
            .context(|| format!("open {}", self.path))
    }

    /// Opens one of its files for watching.
    pub(crate) fn watch(&self, file: &str) -> Option<OwnedFd> {
        let path = format!("{}/{file}", self.path);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).ok()
    }

    /// Sets the limits that `resources` names, except those for devices.
    pub(crate) fn apply(&self, resources: &Resources) -> Result<()> {
        settings(resources).iter().try_for_each(|(file, value)| self.set(file, value))?;
        self.throttle(resources)
    }

    fn throttle(&self, resources: &Resources) -> Result<()> {
        let Some(limits) = &resources.block_io else {
            return Ok(());
        };
        // The kernel takes one device at a time.
        let lines = throttle::lines(limits, &throttle::disks());
        lines.iter().try_for_each(|line| self.set("io.max", line))
    }

    /// As [`Cgroup::apply`] on a new cgroup, for one that has the limits of `before`.
    pub(crate) fn change(&self, before: &Resources, resources: &Resources) -> Result<()> {
        let (before, wanted) = (settings(before), settings(resources));
        for (file, _) in &before {
            if wanted.iter().all(|(other, _)| other != file) {
                self.set(file, unlimited(file))?;
            }
        }
        let changed = wanted.iter().filter(|setting| !before.contains(setting));
        changed.into_iter().try_for_each(|(file, value)| self.set(file, value))?;
        // What a container that is made ahead has not.
        self.throttle(resources)
    }

    fn set(&self, file: &str, value: &str) -> Result<()> {
        let path = format!("{}/{file}", self.path);
        if file == "memory.swap.max" && !fs::exists(&path).unwrap_or(false) {
            // A kernel without swap: nothing to limit.
            return Ok(());
        }
        write(&path, value)
    }

    /// Limits access to devices.
    pub(crate) fn apply_devices(&self, resources: &Resources, directory: &OwnedFd) -> Result<()> {
        let Some(program) = device_filter::program(&resources.devices)? else {
            return Ok(());
        };
        sys::attach_device_filter(std::os::fd::AsFd::as_fd(directory), &program)
            .context(|| "cannot limit devices (CONFIG_CGROUP_BPF in the guest's kernel?)".into())
    }

    /// Returns the content of one of its files; empty if it is not there.
    pub(crate) fn file(&self, name: &str) -> String {
        fs::read_to_string(format!("{}/{name}", self.path)).unwrap_or_default()
    }

    /// Returns the value of `key` in a file of `key value` lines.
    pub(crate) fn value(&self, file: &str, key: &str) -> Option<u64> {
        value(&self.file(file), key)
    }

    /// Freezes or thaws; the kernel does it later, see `cgroup.events`.
    pub(crate) fn freeze(&self, frozen: bool) -> Result<()> {
        let value = if frozen { "1" } else { "0" };
        write(&format!("{}/cgroup.freeze", self.path), value)
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.value("cgroup.events", "frozen") == Some(1)
    }

    /// Kills every process in it.
    pub(crate) fn kill(&self) {
        // Only fails if it is gone already.
        let _ = fs::write(format!("{}/cgroup.kill", self.path), "1");
    }

    /// Sends a signal to every process in it and below.
    pub(crate) fn signal(&self, signal: i32) {
        for pid in self.processes() {
            // It may have ended since.
            let _ = sys::kill(pid, signal);
        }
    }

    /// Returns the processes in it and below, numbered as in the guest.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let mut pids = Vec::new();
        collect_processes(&self.path, &mut pids, 0);
        pids
    }

    /// Removes it with what the container made below; `false` if processes are left.
    pub(crate) fn remove(&self) -> bool {
        remove(&self.path, 0)
    }
}

/// Returns the value of `key` in lines of `key value`.
pub(crate) fn value(lines: &str, key: &str) -> Option<u64> {
    lines.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok())
}

/// Returns the files to write, and what, in an order that the kernel accepts.
fn settings(resources: &Resources) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    if let Some(memory) = &resources.memory {
        let limit = memory.limit.filter(|limit| *limit != 0);
        if let Some(limit) = limit {
            out.push(("memory.max", limit_text(limit)));
        }
        if let Some(swap) = memory.swap.filter(|swap| *swap != 0) {
            let swap = match (swap, limit) {
                (-1, _) | (_, Some(-1)) => -1,
                (swap, limit) => (swap - limit.unwrap_or(0)).max(0),
            };
            out.push(("memory.swap.max", limit_text(swap)));
        }
        if let Some(reservation) = memory.reservation.filter(|reservation| *reservation != 0) {
            out.push(("memory.low", limit_text(reservation)));
        }
    }
    if let Some(cpu) = &resources.cpu {
        if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
            out.push(("cpu.weight", cpu_weight(shares).to_string()));
        }
        let period = cpu.period.filter(|period| *period != 0);
        let quota = cpu.quota.filter(|quota| *quota != 0);
        if quota.is_some() || period.is_some() {
            let quota = match quota {
                Some(quota) if quota > 0 => quota.to_string(),
                _ => "max".into(),
            };
            let period = period.unwrap_or(100_000);
            out.push(("cpu.max", format!("{quota} {period}")));
        }
        if !cpu.cpus.is_empty() {
            out.push(("cpuset.cpus", cpu.cpus.clone()));
        }
        if !cpu.mems.is_empty() {
            out.push(("cpuset.mems", cpu.mems.clone()));
        }
    }
    if let Some(pids) = resources.pids.as_ref().filter(|pids| pids.limit != 0) {
        out.push(("pids.max", limit_text(pids.limit)));
    }
    out
}

/// Returns what a file of [`settings`] says in a new cgroup.
fn unlimited(file: &str) -> &'static str {
    match file {
        "memory.low" => "0",
        "cpu.weight" => "100",
        "cpu.max" => "max 100000",
        // Empty: what the parent has.
        "cpuset.cpus" | "cpuset.mems" => "\n",
        _ => "max",
    }
}

fn limit_text(limit: i64) -> String {
    match limit {
        limit if limit < 0 => "max".into(),
        limit => limit.to_string(),
    }
}

/// Converts cgroup v1 shares (2 to 262144) to a v2 weight (1 to 10000), as runc does.
fn cpu_weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9_999 / 262_142
}

fn collect_processes(path: &str, pids: &mut Vec<i32>, depth: u32) {
    let list = fs::read_to_string(format!("{path}/cgroup.procs")).unwrap_or_default();
    pids.extend(list.lines().filter_map(|line| line.parse::<i32>().ok()));
    for child in children(path, depth) {
        collect_processes(&child, pids, depth + 1);
    }
}

fn remove(path: &str, depth: u32) -> bool {
    for child in children(path, depth) {
        remove(&child, depth + 1);
    }
    match rustix::fs::rmdir(path) {
        Ok(()) | Err(Errno::NOENT) => true,
        Err(_) => false,
    }
}

fn children(path: &str, depth: u32) -> Vec<String> {
    // The container makes this tree: its depth is not trusted.
    if depth > 64 {
        return Vec::new();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| format!("{path}/{}", entry.file_name().to_string_lossy()))
        .collect()
}

fn make(path: &str) -> Result<()> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno).context(|| format!("mkdir {path}")),
    }
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|error| io_failure("read", path, &error))
}

fn write(path: &str, value: &str) -> Result<()> {
    fs::write(path, value)
        .map_err(|error| io_failure(&format!("failed to write {value:?}:"), path, &error))
}

fn io_failure(what: &str, path: &str, error: &std::io::Error) -> Failure {
    let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
    Failure::failed(format!("{what} {path}: {}", errno_text(errno)))
}

#[cfg(test)]
mod tests {
    use hull_spec::{Cpu, Memory, Pids};

    use super::*;

    #[test]
    fn limits_are_written_as_runc_writes_them() {
        let resources = Resources {
            memory: Some(Memory {
                limit: Some(64 << 20),
                swap: Some(128 << 20),
                reservation: Some(32 << 20),
            }),
            cpu: Some(Cpu {
                shares: Some(1024),
                quota: Some(50_000),
                cpus: "0-1".into(),
                ..Cpu::default()
            }),
            pids: Some(Pids { limit: 10 }),
            ..Resources::default()
        };
        let expected = [
            ("memory.max", "67108864"),
            ("memory.swap.max", "67108864"),
            ("memory.low", "33554432"),
            ("cpu.weight", "39"),
            ("cpu.max", "50000 100000"),
            ("cpuset.cpus", "0-1"),
            ("pids.max", "10"),
        ];
        let expected = expected.map(|(file, value)| (file, value.to_owned()));
        assert_eq!(settings(&resources), expected);
        assert_eq!(settings(&Resources::default()), []);
    }

    #[test]
    fn unlimited_is_max() {
        let resources = Resources {
            memory: Some(Memory { limit: Some(-1), swap: Some(-1), reservation: None }),
            pids: Some(Pids { limit: -1 }),
            ..Resources::default()
        };
        assert!(settings(&resources).iter().all(|(_, value)| value == "max"));
    }

    #[test]
    fn values_are_found_by_whole_key() {
        assert_eq!(value("oom 1\noom_kill 2\n", "oom_kill"), Some(2));
        assert_eq!(value("oom_kill 2\n", "oom"), None);
    }
}
