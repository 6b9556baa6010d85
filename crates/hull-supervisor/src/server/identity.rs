//! What makes a guest different from every other one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::time::{SystemTime, UNIX_EPOCH};

use hull_protocol::Configure;

use crate::launch::Launch;

/// Returns the identity of the guest for `launch`; fresh at every call.
pub(super) fn of(launch: &Launch) -> io::Result<Configure> {
    let container = &launch.container;
    fresh(container.get(..12).unwrap_or(container), launch.sysctls.clone())
}

/// Returns a fresh identity with a host name.
pub(super) fn fresh(hostname: &str, sysctls: BTreeMap<String, String>) -> io::Result<Configure> {
    let mut entropy = [0_u8; 64];
    File::open("/dev/urandom")?.read_exact(&mut entropy)?;
    Ok(Configure {
        entropy: entropy.iter().map(|byte| format!("{byte:02x}")).collect(),
        clock_ns: wall_clock(),
        hostname: hostname.to_owned(),
        sysctls,
        isolated: false,
    })
}

/// Returns the host's wall clock: nanoseconds since 1970-01-01 UTC.
pub(super) fn wall_clock() -> u64 {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(clock.as_nanos()).unwrap_or(0)
}
