//! What makes this guest different from every other one that was forked from the same template.

use std::fs;
use std::os::fd::AsFd;

use hull_protocol::Configure;
use rustix::fs::{Mode, OFlags};

use crate::failure::{Context, Failure, Result};
use crate::sys;

/// Takes on the identity that the host gives.
pub(crate) fn configure(identity: &Configure) -> Result<()> {
    let entropy = decode_hex(&identity.entropy)
        .filter(|bytes| bytes.len() >= 32)
        .ok_or_else(|| Failure::invalid("entropy: 32 bytes or more in hexadecimal needed"))?;
    let random = fs::File::open("/dev/urandom")
        .map_err(|error| Failure::failed(format!("open /dev/urandom: {error}")))?;
    sys::add_entropy(random.as_fd(), &entropy).context(|| "seed the random generator".into())?;
    set_clock(identity.clock_ns)?;
    rustix::system::sethostname(identity.hostname.as_bytes())
        .context(|| "set the host name".into())?;
    for (key, value) in &identity.sysctls {
        write_sysctl(key, value)?;
    }
    Ok(())
}

/// Sets the wall clock: nanoseconds since 1970-01-01 UTC.
pub(crate) fn set_clock(nanoseconds: u64) -> Result<()> {
    const SECOND: u64 = 1_000_000_000;
    sys::set_clock((nanoseconds / SECOND) as i64, (nanoseconds % SECOND) as i64)
        .context(|| "set the clock".into())
}

/// Sets a kernel parameter, named as sysctl(8) names it, for the namespaces of the caller.
pub(crate) fn write_sysctl(key: &str, value: &str) -> Result<()> {
    let path = sysctl_path(key)?;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file =
        rustix::fs::open(path.as_str(), flags, Mode::empty()).context(|| format!("open {path}"))?;
    rustix::io::write(&file, value.as_bytes()).map(drop).context(|| format!("write {path}"))
}

/// Returns the value of a kernel parameter.
pub(crate) fn read_sysctl(key: &str) -> Result<String> {
    let path = sysctl_path(key)?;
    fs::read_to_string(&path)
        .map(|value| value.trim_end().to_owned())
        .map_err(|error| Failure::failed(format!("read {path}: {error}")))
}

/// `net.ipv4.ip_forward` and `net/ipv4/conf/eth0.1/x` alike: the first separator decides.
fn sysctl_path(key: &str) -> Result<String> {
    let slashes = key.find(['.', '/']).is_some_and(|at| key.as_bytes()[at] == b'/');
    let path: String = match slashes {
        true => key.into(),
        false => key
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                c => c,
            })
            .collect(),
    };
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Failure::invalid(format!("sysctl key {key} is malformed")));
    }
    Ok(format!("/proc/sys/{path}"))
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysctl_keys_become_paths() {
        let path = |key| sysctl_path(key).unwrap();
        assert_eq!(path("net.ipv4.ip_forward"), "/proc/sys/net/ipv4/ip_forward");
        assert_eq!(path("net.ipv4.conf.eth0/1.x"), "/proc/sys/net/ipv4/conf/eth0.1/x");
        assert_eq!(path("net/ipv4/conf/eth0.1/x"), "/proc/sys/net/ipv4/conf/eth0.1/x");
        assert!(sysctl_path("net/../../../etc/passwd").is_err());
        assert!(sysctl_path("").is_err());
    }

    #[test]
    fn hexadecimal_is_decoded() {
        assert_eq!(decode_hex("00fF10"), Some(vec![0, 255, 16]));
        assert_eq!(decode_hex("0"), None);
        assert_eq!(decode_hex("0g"), None);
    }
}
