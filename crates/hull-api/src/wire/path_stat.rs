//! `X-Docker-Container-Path-Stat`.

use hull_engine::PathStat;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::time;

/// Writes what is at a path of a container.
pub(crate) fn path_stat(stat: &PathStat) -> Value {
    json!({
        "name": stat.name,
        "size": stat.size,
        "mode": go_mode(stat.mode),
        "mtime": time(Timestamp::from_nanosecond(stat.mtime_ns.into()).ok()),
        "linkTarget": stat.link_target,
    })
}

/// Turns Linux's `st_mode` into Go's `os.FileMode`.
fn go_mode(mode: u32) -> u32 {
    let kind = match mode & 0o170_000 {
        0o040_000 => 1 << 31,
        0o120_000 => 1 << 27,
        0o060_000 => 1 << 26,
        0o020_000 => 1 << 26 | 1 << 21,
        0o010_000 => 1 << 25,
        0o140_000 => 1 << 24,
        _ => 0,
    };
    let bits = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
    let special = bits.iter().filter(|(bit, _)| mode & bit != 0).map(|(_, go)| go);
    kind | special.sum::<u32>() | mode & 0o777
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_gos() {
        assert_eq!(go_mode(0o100_644), 0o644);
        assert_eq!(go_mode(0o041_777), 1 << 31 | 1 << 20 | 0o777);
        assert_eq!(go_mode(0o020_666), 1 << 26 | 1 << 21 | 0o666);
        assert_eq!(go_mode(0o120_777), 1 << 27 | 0o777);
        assert_eq!(go_mode(0o106_755), 1 << 23 | 1 << 22 | 0o755);
    }
}
