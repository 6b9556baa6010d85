//! Resource limits by name, see getrlimit(2).

use hull_spec::Rlimit;

use crate::failure::{Context, Failure, Result};
use crate::sys;

/// Sets the limits of this process.
pub(crate) fn apply(limits: &[Rlimit]) -> Result<()> {
    for limit in limits {
        let resource = number(&limit.kind)
            .ok_or_else(|| Failure::invalid(format!("wrong rlimit value: {}", limit.kind)))?;
        sys::set_rlimit(resource, limit.soft, limit.hard)
            .context(|| format!("error setting rlimit type {resource}"))?;
    }
    Ok(())
}

fn number(name: &str) -> Option<u32> {
    Some(match name {
        "RLIMIT_CPU" => libc::RLIMIT_CPU,
        "RLIMIT_FSIZE" => libc::RLIMIT_FSIZE,
        "RLIMIT_DATA" => libc::RLIMIT_DATA,
        "RLIMIT_STACK" => libc::RLIMIT_STACK,
        "RLIMIT_CORE" => libc::RLIMIT_CORE,
        "RLIMIT_RSS" => libc::RLIMIT_RSS,
        "RLIMIT_NPROC" => libc::RLIMIT_NPROC,
        "RLIMIT_NOFILE" => libc::RLIMIT_NOFILE,
        "RLIMIT_MEMLOCK" => libc::RLIMIT_MEMLOCK,
        "RLIMIT_AS" => libc::RLIMIT_AS,
        "RLIMIT_LOCKS" => libc::RLIMIT_LOCKS,
        "RLIMIT_SIGPENDING" => libc::RLIMIT_SIGPENDING,
        "RLIMIT_MSGQUEUE" => libc::RLIMIT_MSGQUEUE,
        "RLIMIT_NICE" => libc::RLIMIT_NICE,
        "RLIMIT_RTPRIO" => libc::RLIMIT_RTPRIO,
        "RLIMIT_RTTIME" => libc::RLIMIT_RTTIME,
        _ => return None,
    })
}
