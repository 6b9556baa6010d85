//! Resource limits: of processes, of the control group, and the size of the machine.

use std::str::FromStr;

use hull_spec::{BlockIo, Cpu, Memory, Pids, Resources, Rlimit, ThrottleDevice};

use crate::config::{BlkioRates, ThrottledDevice};
use crate::{ContainerConfig, Error, Host, HostConfig, Ulimit, devices};

/// Bytes of memory of a container that asks for none.
pub const DEFAULT_MEMORY: i64 = 1 << 30;
/// vCPUs of a container that asks for none.
pub const DEFAULT_CPUS: u32 = 2;
/// Bytes of `/dev/shm` of a container that asks for none.
pub const DEFAULT_SHM_SIZE: i64 = 64 << 20;

/// Size of a virtual machine.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct VmSize {
    pub vcpus: u32,
    /// MiB of memory of the machine: the container's limit and what the guest itself needs.
    pub memory_mib: u32,
}

impl VmSize {
    /// Returns the size of the machine for a container that asks for `config`.
    pub fn new(config: &HostConfig, host: &Host) -> Self {
        // A limit beyond the host's memory never binds: the machine need not be that large.
        let limit = memory_limit(config).min(host.memory.max(DEFAULT_MEMORY as u64) as i64) as u64;
        // The kernel's page descriptors take 1/64 of the memory they describe.
        let bytes = limit + limit / 64 + GUEST_OWN;
        let mib = bytes.div_ceil(STEP) * STEP / MIB;
        Self { vcpus: vcpus(config), memory_mib: u32::try_from(mib).unwrap_or(u32::MAX) }
    }
}

impl FromStr for Ulimit {
    type Err = Error;

    /// Parses `name=soft[:hard]` as Docker's client does.
    fn from_str(text: &str) -> Result<Self, Error> {
        let Some((name, values)) = text.split_once('=') else {
            return Err(Error::invalid(format!("invalid ulimit argument: {text}")));
        };
        if !RLIMITS.contains(&name) {
            return Err(Error::invalid(format!("invalid ulimit type: {name}")));
        }
        let (soft, hard) = match values.split(':').collect::<Vec<_>>()[..] {
            [soft] => (soft, soft),
            [soft, hard] => (soft, hard),
            _ => {
                return Err(Error::invalid(format!(
                    "too many limit value arguments - {values}, can only have up to two, \
                     `soft[:hard]`"
                )));
            }
        };
        let ulimit = Self { name: name.into(), hard: integer(hard)?, soft: integer(soft)? };
        ulimit.check()?;
        Ok(ulimit)
    }
}

impl Ulimit {
    fn check(&self) -> Result<(), Error> {
        let Self { name, soft, hard } = self;
        if !RLIMITS.contains(&name.as_str()) {
            return Err(Error::invalid(format!("invalid ulimit type: {name}")));
        }
        let shown = match (*soft, *hard) {
            (_, -1) => return Ok(()),
            (-1, _) => format!("soft: -1 (unlimited), hard: {hard}"),
            _ if soft > hard => format!("{soft} > {hard}"),
            _ => return Ok(()),
        };
        Err(Error::invalid(format!(
            "ulimit soft limit must be less than or equal to hard limit: {shown}"
        )))
    }
}

/// Parses `--cpus`: a decimal number or a fraction, at most nine decimal places.
pub fn parse_nano_cpus(text: &str) -> Result<i64, Error> {
    let malformed = || Error::invalid(format!("failed to parse {text} as a rational number"));
    let decimal = |text: &str| -> Option<(i128, u32)> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let all = format!("{whole}{part}");
        if all.is_empty() || all.len() > 30 || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some((sign * all.parse::<i128>().ok()?, part.len() as u32))
    };
    let (numerator, denominator) = match text.split_once('/') {
        Some((numerator, denominator)) => {
            let (numerator, places) = decimal(numerator).ok_or_else(malformed)?;
            let denominator: i128 = denominator.parse().map_err(|_| malformed())?;
            if places > 0 || denominator <= 0 {
                return Err(malformed());
            }
            (numerator, denominator)
        }
        None => {
            let (digits, places) = decimal(text).ok_or_else(malformed)?;
            (digits, 10i128.pow(places))
        }
    };
    let nano = numerator.checked_mul(NANO.into()).ok_or_else(malformed)?;
    if nano % denominator != 0 {
        return Err(Error::invalid("value is too precise"));
    }
    i64::try_from(nano / denominator).map_err(|_| malformed())
}

/// Checks limits as Docker's daemon does.
pub(crate) fn validate(config: &HostConfig, host: &Host) -> Result<(), Error> {
    validate_memory(config)?;
    validate_cpu(config, host)?;
    config.ulimits.iter().try_for_each(Ulimit::check)?;
    if config.shm_size < 0 {
        return Err(Error::invalid("SHM size can not be less than 0"));
    }
    if !(-1000..=1000).contains(&config.oom_score_adj) {
        return Err(Error::invalid(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            config.oom_score_adj
        )));
    }
    Ok(())
}

/// Takes out what control groups of version 2 do not offer, as Docker does on such a host, and
/// returns sentences for the user about it.
pub fn discard_unsupported(config: &mut HostConfig) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.oom_kill_disable == Some(true) {
        config.oom_kill_disable = None;
        warnings.push("Your kernel does not support OomKillDisable. OomKillDisable discarded.");
    }
    if config.memory_swappiness.is_some_and(|value| (0..=100).contains(&value)) {
        config.memory_swappiness = None;
        warnings.push(
            "Your kernel does not support memory swappiness capabilities or the cgroup is not \
             mounted. Memory swappiness discarded.",
        );
    }
    if config.blkio_weight > 0 {
        config.blkio_weight = 0;
        warnings.push(
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight \
             discarded.",
        );
    }
    warnings.into_iter().map(str::to_owned).collect()
}

pub(crate) fn rlimits(config: &HostConfig) -> Vec<Rlimit> {
    let value = |limit: i64| limit as u64;
    let mut rlimits: Vec<_> = config
        .ulimits
        .iter()
        .map(|ulimit| Rlimit {
            kind: format!("RLIMIT_{}", ulimit.name.to_uppercase()),
            soft: value(ulimit.soft),
            hard: value(ulimit.hard),
        })
        .collect();
    // What containers inherit from a Docker daemon started by Docker's own service file. Here
    // there is nothing to inherit from but a kernel's defaults.
    for (kind, limit) in
        [("RLIMIT_NOFILE", 1_048_576), ("RLIMIT_NPROC", u64::MAX), ("RLIMIT_CORE", u64::MAX)]
    {
        if !rlimits.iter().any(|rlimit| rlimit.kind == kind) {
            rlimits.push(Rlimit { kind: kind.into(), soft: limit, hard: limit });
        }
    }
    rlimits
}

/// Limits of the container's control group. Memory is limited always, so that a container cannot
/// push the guest's agent out of memory.
pub fn resources(config: &ContainerConfig) -> Resources {
    let host = &config.host;
    let positive = |value: i64| (value > 0).then_some(value);
    let memory = Memory {
        limit: Some(memory_limit(host)),
        reservation: positive(host.memory_reservation),
        swap: match host.memory_swap {
            -1 => Some(-1),
            swap => positive(swap),
        },
    };
    let mut cpu = Cpu {
        shares: u64::try_from(host.cpu_shares).ok().filter(|shares| *shares > 0),
        cpus: host.cpuset_cpus.clone(),
        mems: host.cpuset_mems.clone(),
        ..Cpu::default()
    };
    if host.nano_cpus > 0 {
        cpu.period = Some(PERIOD);
        cpu.quota = Some((i128::from(host.nano_cpus) * i128::from(PERIOD) / NANO as i128) as i64);
    }
    if host.cpu_period > 0 {
        cpu.period = Some(host.cpu_period as u64);
    }
    if host.cpu_quota != 0 {
        cpu.quota = Some(host.cpu_quota);
    }
    Resources {
        devices: devices::rules(host),
        memory: Some(memory),
        cpu: (cpu != Cpu::default()).then_some(cpu),
        pids: host.pids_limit.map(|limit| Pids { limit: if limit <= 0 { -1 } else { limit } }),
        block_io: block_io(&host.blkio_rates),
    }
}

/// A guest has none of the host's devices: they have no numbers there, and what is limited is its own
/// disks.
fn block_io(rates: &BlkioRates) -> Option<BlockIo> {
    let all = |devices: &[ThrottledDevice]| -> Vec<_> {
        devices.iter().map(|it| ThrottleDevice { rate: it.rate, ..Default::default() }).collect()
    };
    let limits = BlockIo {
        throttle_read_bps_device: all(&rates.read_bytes),
        throttle_write_bps_device: all(&rates.write_bytes),
        throttle_read_iops_device: all(&rates.read_operations),
        throttle_write_iops_device: all(&rates.write_operations),
    };
    (limits != BlockIo::default()).then_some(limits)
}

const MIB: u64 = 1 << 20;
/// Bytes that kernel and agent need beside page descriptors.
const GUEST_OWN: u64 = 96 * MIB;
/// Machines come in sizes of this many bytes: fewer shapes, fewer templates.
const STEP: u64 = 16 * MIB;
const MINIMUM: i64 = 6 << 20;
const NANO: i64 = 1_000_000_000;
/// Microseconds of a CPU quota's period.
const PERIOD: u64 = 100_000;

/// getrlimit(2), without `as`, as in Docker.
const RLIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

fn integer(text: &str) -> Result<i64, Error> {
    text.parse().map_err(|_| {
        Error::invalid(format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"))
    })
}

fn memory_limit(config: &HostConfig) -> i64 {
    match config.memory {
        0 => DEFAULT_MEMORY.max(config.memory_reservation),
        memory => memory,
    }
}

/// Whole CPUs that hold what is asked for.
fn vcpus(config: &HostConfig) -> u32 {
    let cpus = if config.nano_cpus > 0 {
        (config.nano_cpus as u64).div_ceil(NANO as u64)
    } else if config.cpu_quota > 0 {
        let period = u64::try_from(config.cpu_period).ok().filter(|p| *p > 0);
        let quota = config.cpu_quota as u64;
        quota.div_ceil(period.unwrap_or(PERIOD)).max(DEFAULT_CPUS.into())
    } else {
        DEFAULT_CPUS.into()
    };
    u32::try_from(cpus).unwrap_or(u32::MAX)
}

/// Checks what an update says of memory, as dockerd does: for itself, whatever the container has.
pub(crate) fn validate_memory_update(update: &HostConfig) -> Result<(), Error> {
    match (update.memory, update.memory_swap) {
        (0, swap) if swap > 0 => validate_memory(&HostConfig { memory_swap: 0, ..update.clone() }),
        _ => validate_memory(update),
    }
}

fn validate_memory(config: &HostConfig) -> Result<(), Error> {
    let HostConfig { memory, memory_swap, memory_reservation, .. } = *config;
    let message = if memory != 0 && memory < MINIMUM {
        "Minimum memory limit allowed is 6MB"
    } else if memory > 0 && memory_swap > 0 && memory_swap < memory {
        "Minimum memoryswap limit should be larger than memory limit, see usage"
    } else if memory == 0 && memory_swap > 0 {
        "You should always set the Memory limit when using Memoryswap limit, see usage"
    } else if memory_reservation != 0 && memory_reservation < MINIMUM {
        "Minimum memory reservation allowed is 6MB"
    } else if memory > 0 && memory_reservation > memory {
        "Minimum memory limit can not be less than memory reservation limit, see usage"
    } else {
        return match config.memory_swappiness {
            // Those that make sense are discarded when the container is created.
            None | Some(-1..=100) => Ok(()),
            Some(value) => Err(Error::invalid(format!(
                "Invalid value: {value}, valid memory swappiness range is 0-100"
            ))),
        };
    };
    Err(Error::invalid(message))
}

fn validate_cpu(config: &HostConfig, host: &Host) -> Result<(), Error> {
    let nano = config.nano_cpus;
    if nano > 0 && config.cpu_period > 0 {
        return Err(Error::invalid(
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ));
    }
    if nano > 0 && config.cpu_quota > 0 {
        return Err(Error::invalid(
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ));
    }
    if nano < 0 || nano > i64::from(host.cpus) * NANO {
        return Err(Error::invalid(format!(
            "Range of CPUs is from 0.01 to {0}.00, as there are only {0} CPUs available",
            host.cpus
        )));
    }
    if config.cpu_period != 0 && !(1000..=1_000_000).contains(&config.cpu_period) {
        return Err(Error::invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ));
    }
    if config.cpu_quota > 0 && config.cpu_quota < 1000 {
        return Err(Error::invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)"));
    }
    if config.cpu_shares < 0 {
        return Err(Error::invalid("shares: invalid argument"));
    }
    let cpus = vcpus(config);
    let all = match cpus {
        1 => "0".to_owned(),
        _ => format!("0-{}", cpus - 1),
    };
    check_set("cpuset cpus", "CPUs", &config.cpuset_cpus, cpus, &all)?;
    check_set("cpuset mems", "memory nodes", &config.cpuset_mems, 1, "0")
}

/// Checks a list such as `0-2,4` against what the machine will have.
fn check_set(field: &str, what: &str, list: &str, count: u32, all: &str) -> Result<(), Error> {
    if list.is_empty() {
        return Ok(());
    }
    let malformed =
        || Error::invalid(format!("Invalid value {list} for {field}: invalid format: {list}"));
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.parse::<u32>().map_err(|_| malformed());
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(malformed());
        }
        if last >= count {
            return Err(Error::invalid(format!(
                "Requested {what} are not available - requested {list}, available: {all}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
