//! Resource use of a container, from its cgroup and the guest's counters.

use std::collections::BTreeMap;
use std::fs;

use hull_protocol::{NetworkStatistics, Statistics};

use crate::container::cgroup::{Cgroup, value};

/// Reads everything; what the kernel does not count is 0.
pub(crate) fn collect(cgroup: &Cgroup) -> Statistics {
    let cpu = cgroup.file("cpu.stat");
    let cpu = |key| value(&cpu, key).unwrap_or(0);
    let number = |file| cgroup.file(file).trim().parse::<u64>().ok();
    let block = block_counters(&cgroup.file("io.stat"));
    let usage = number("memory.current").unwrap_or(0);
    Statistics {
        cpu_usage_us: cpu("usage_usec"),
        cpu_user_us: cpu("user_usec"),
        cpu_system_us: cpu("system_usec"),
        cpu_periods: cpu("nr_periods"),
        cpu_throttled_periods: cpu("nr_throttled"),
        cpu_throttled_us: cpu("throttled_usec"),
        memory_usage: usage,
        memory_limit: number("memory.max"),
        memory_peak: number("memory.peak").unwrap_or(usage),
        memory_stat: memory_stat(&cgroup.file("memory.stat")),
        oom_kills: cgroup.value("memory.events", "oom_kill").unwrap_or(0),
        pids: number("pids.current").unwrap_or(0),
        pids_limit: number("pids.max"),
        block_read_bytes: block[0],
        block_write_bytes: block[1],
        block_reads: block[2],
        block_writes: block[3],
        networks: networks(&fs::read_to_string("/proc/net/dev").unwrap_or_default()),
        online_cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        system_cpu_ns: system_cpu_ns(&fs::read_to_string("/proc/stat").unwrap_or_default()),
    }
}

/// Returns how many clock ticks of /proc a second has.
pub(crate) fn clock_ticks() -> u64 {
    rustix::param::clock_ticks_per_second().max(1)
}

fn memory_stat(lines: &str) -> BTreeMap<String, u64> {
    lines
        .lines()
        .filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            Some((key.to_owned(), value.parse().ok()?))
        })
        .collect()
}

/// Sums bytes read and written, and requests read and written, over all devices.
fn block_counters(lines: &str) -> [u64; 4] {
    let mut sums = [0; 4];
    for word in lines.split_ascii_whitespace() {
        for (sum, key) in sums.iter_mut().zip(["rbytes=", "wbytes=", "rios=", "wios="]) {
            if let Some(value) = word.strip_prefix(key) {
                *sum += value.parse::<u64>().unwrap_or(0);
            }
        }
    }
    sums
}

/// Parses /proc/net/dev; the loopback interface is left out, as Docker leaves it out.
fn networks(lines: &str) -> BTreeMap<String, NetworkStatistics> {
    lines
        .lines()
        .filter_map(|line| {
            let (name, counters) = line.split_once(':')?;
            let name = name.trim();
            let counters: Vec<u64> = counters
                .split_ascii_whitespace()
                .filter_map(|counter| counter.parse().ok())
                .collect();
            let at = |index: usize| counters.get(index).copied().unwrap_or(0);
            let statistics = NetworkStatistics {
                rx_bytes: at(0),
                rx_packets: at(1),
                rx_errors: at(2),
                rx_dropped: at(3),
                tx_bytes: at(8),
                tx_packets: at(9),
                tx_errors: at(10),
                tx_dropped: at(11),
            };
            (name != "lo").then(|| (name.to_owned(), statistics))
        })
        .collect()
}

/// Sums the first line of /proc/stat as Docker does: user to softirq, in ticks of 1/100 s.
fn system_cpu_ns(lines: &str) -> u64 {
    let Some(line) = lines.lines().next().and_then(|line| line.strip_prefix("cpu ")) else {
        return 0;
    };
    let ticks = line.split_ascii_whitespace().take(7);
    let sum: u64 = ticks.filter_map(|tick| tick.parse::<u64>().ok()).sum();
    sum * (1_000_000_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed() {
        let lines = "254:0 rbytes=100 wbytes=2 rios=3 wios=4 dbytes=9 dios=9\n254:16 rbytes=1\n";
        assert_eq!(block_counters(lines), [101, 2, 3, 4]);
        assert_eq!(system_cpu_ns("cpu  1 2 3 4 5 6 7 8 9 10\n"), 280_000_000);
    }

    #[test]
    fn interfaces_are_parsed() {
        let lines = "Inter-| Receive\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  \
                     eth0:10 2 3 4 0 0 0 0 50 6 7 8 0 0 0 0\n";
        let networks = networks(lines);
        assert_eq!(networks.len(), 1);
        assert_eq!(networks["eth0"].rx_bytes, 10);
        assert_eq!(networks["eth0"].tx_dropped, 8);
    }
}
