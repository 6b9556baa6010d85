//! What JSON does not say about Go's types.

use super::value::{Null, Val};

/// Whether a JSON object is a structure, whose fields are fixed, or a map.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ObjectKind {
    /// A field that is not there is an error.
    Struct,
    /// A key that is not there has no value.
    Map,
    /// A map to strings: one that is not there is empty for `index`.
    StringMap,
}

/// Value of a field that is left out.
#[derive(Clone, Copy, Debug)]
enum Empty {
    Null,
    String,
    False,
}

/// Types by the name of the field that a value is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hints {
    maps: &'static [&'static str],
    string_maps: &'static [&'static str],
    lists: &'static [&'static str],
    /// Fields that are left out of JSON when they are empty.
    optional: &'static [(&'static str, Empty)],
    /// Name in Go, name in JSON.
    aliases: &'static [(&'static str, &'static str)],
}

impl Hints {
    /// The answers of Docker's inspection calls.
    pub(super) const DOCKER: Self = Self {
        maps: &[
            "Containers",
            "ExposedPorts",
            "Networks",
            "PortBindings",
            "Ports",
            "Services",
            "Volumes",
        ],
        string_maps: &[
            "Annotations",
            "Attributes",
            "AuxiliaryAddresses",
            "Data",
            "DriverOpts",
            "Labels",
            "Options",
            "StorageOpt",
            "Sysctls",
            "Tmpfs",
        ],
        lists: &[
            "Aliases",
            "Args",
            "Binds",
            "BlkioDeviceReadBps",
            "BlkioDeviceReadIOps",
            "BlkioDeviceWriteBps",
            "BlkioDeviceWriteIOps",
            "BlkioWeightDevice",
            "CapAdd",
            "CapDrop",
            "Cmd",
            "DNSNames",
            "DeviceCgroupRules",
            "DeviceRequests",
            "Devices",
            "Dns",
            "DnsOptions",
            "DnsSearch",
            "Entrypoint",
            "Env",
            "ExecIDs",
            "ExtraHosts",
            "GroupAdd",
            "Layers",
            "Links",
            "MaskedPaths",
            "Mounts",
            "OnBuild",
            "Peers",
            "ReadonlyPaths",
            "RepoDigests",
            "RepoTags",
            "SecondaryIPAddresses",
            "SecondaryIPv6Addresses",
            "SecurityOpt",
            "Shell",
            "Ulimits",
            "VolumesFrom",
        ],
        optional: &[
            ("Annotations", Empty::Null),
            ("ArgsEscaped", Empty::False),
            ("AuxiliaryAddresses", Empty::Null),
            ("BindOptions", Empty::Null),
            ("Consistency", Empty::String),
            ("Driver", Empty::String),
            ("ExposedPorts", Empty::Null),
            ("Gateway", Empty::String),
            ("Health", Empty::Null),
            ("Healthcheck", Empty::Null),
            ("IPRange", Empty::String),
            ("Init", Empty::Null),
            ("MacAddress", Empty::String),
            ("Mounts", Empty::Null),
            ("Name", Empty::String),
            ("NetworkDisabled", Empty::False),
            ("Peers", Empty::Null),
            ("ReadOnly", Empty::False),
            ("Services", Empty::Null),
            ("Shell", Empty::Null),
            ("SizeRootFs", Empty::Null),
            ("SizeRw", Empty::Null),
            ("StopSignal", Empty::String),
            ("StopTimeout", Empty::Null),
            ("StorageOpt", Empty::Null),
            ("Sysctls", Empty::Null),
            ("Tmpfs", Empty::Null),
            ("TmpfsOptions", Empty::Null),
            ("VolumeOptions", Empty::Null),
        ],
        aliases: &[
            ("ID", "Id"),
            ("APIVersion", "ApiVersion"),
            ("AuxAddress", "AuxiliaryAddresses"),
            ("HostIP", "HostIp"),
            ("CPUShares", "CpuShares"),
            ("NanoCPUs", "NanoCpus"),
            ("CPUPeriod", "CpuPeriod"),
            ("CPUQuota", "CpuQuota"),
            ("CPURealtimePeriod", "CpuRealtimePeriod"),
            ("CPURealtimeRuntime", "CpuRealtimeRuntime"),
            ("CPUCount", "CpuCount"),
            ("CPUPercent", "CpuPercent"),
            ("DNS", "Dns"),
            ("DNSOptions", "DnsOptions"),
            ("DNSSearch", "DnsSearch"),
        ],
    };

    pub(super) fn object(&self, name: &str) -> ObjectKind {
        if self.string_maps.contains(&name) {
            ObjectKind::StringMap
        } else if self.maps.contains(&name) {
            ObjectKind::Map
        } else {
            ObjectKind::Struct
        }
    }

    pub(super) fn null(&self, name: &str) -> Null {
        if self.lists.contains(&name) {
            Null::List
        } else if self.object(name) != ObjectKind::Struct {
            Null::Map
        } else {
            Null::Pointer
        }
    }

    /// Value of the field `name` where it is left out.
    pub(super) fn left_out(&self, name: &str) -> Option<Val> {
        let mut optional = self.optional.iter();
        Some(match optional.find(|field| field.0 == name)?.1 {
            Empty::Null => Val::Null(self.null(name)),
            Empty::String => Val::str(""),
            Empty::False => Val::Bool(false),
        })
    }

    /// Whether Go has another name for what is `name` in JSON.
    pub(super) fn is_json_only(&self, name: &str) -> bool {
        self.aliases.iter().any(|alias| alias.1 == name)
    }

    /// Name in JSON of what Go calls `name`.
    pub(super) fn alias(&self, name: &str) -> Option<&'static str> {
        let mut aliases = self.aliases.iter();
        aliases.find(|alias| alias.0 == name).map(|alias| alias.1)
    }
}
