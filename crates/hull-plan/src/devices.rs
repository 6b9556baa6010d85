//! Device nodes and who may use them.

use hull_spec::{Device, DeviceRule};

/// Access rules of the control group: runc's own defaults come before these in the guest.
pub(crate) fn rules(privileged: bool) -> Vec<DeviceRule> {
    let all = |allow| DeviceRule { allow, access: "rwm".into(), ..DeviceRule::default() };
    if privileged {
        return vec![all(true)];
    }
    let character = |allow, major, minor| DeviceRule {
        kind: "c".into(),
        major: Some(major),
        minor: Some(minor),
        ..all(allow)
    };
    vec![
        all(false),
        character(true, 1, 5),
        character(true, 1, 3),
        character(true, 1, 9),
        character(true, 1, 8),
        character(true, 5, 0),
        character(true, 5, 1),
        character(false, 10, 229),
    ]
}

/// Nodes beside those that every container has. Docker gives a privileged container all nodes of
/// its host; here that is the guest, and these are what its kernel offers. The disks of the
/// machine itself are left out.
pub(crate) fn nodes(privileged: bool) -> Vec<Device> {
    if !privileged {
        return Vec::new();
    }
    let node = |kind: &str, path: String, major, minor, mode| Device {
        kind: kind.into(),
        path,
        major,
        minor,
        file_mode: Some(mode),
        uid: Some(0),
        gid: Some(0),
    };
    let mut nodes: Vec<_> = [
        ("/dev/kmsg", 1, 11, 0o644),
        ("/dev/fuse", 10, 229, 0o666),
        ("/dev/net/tun", 10, 200, 0o666),
        ("/dev/loop-control", 10, 237, 0o660),
        ("/dev/mapper/control", 10, 236, 0o600),
        ("/dev/hwrng", 10, 183, 0o600),
    ]
    .into_iter()
    .map(|(path, major, minor, mode)| node("c", path.into(), major, minor, mode))
    .collect();
    nodes.extend((0..8).map(|n| node("b", format!("/dev/loop{n}"), 7, n, 0o660)));
    nodes
}
