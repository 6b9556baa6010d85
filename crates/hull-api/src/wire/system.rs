//! The engine itself: versions, information, and Hull's own objects.

use hull_engine::doctor::{Check, Outcome};
use hull_engine::{Info, KernelInfo, Version};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::version::{MIN_VERSION, VERSION};

/// Writes `GET /version`.
pub(crate) fn version(version: &Version) -> Value {
    let mut components = vec![json!({
        "Name": "Engine",
        "Version": version.hull,
        "Details": {
            "ApiVersion": VERSION,
            "Arch": version.architecture,
            "Experimental": "false",
            "KernelVersion": version.host_kernel,
            "MinAPIVersion": MIN_VERSION,
            "Os": version.os,
        },
    })];
    if let Some(qemu) = &version.qemu {
        components.push(json!({"Name": "qemu", "Version": qemu, "Details": {}}));
    }
    json!({
        "Platform": {"Name": "Hull"},
        "Components": components,
        "Version": version.hull,
        "ApiVersion": VERSION,
        "MinAPIVersion": MIN_VERSION,
        "GitCommit": "",
        "GoVersion": "",
        "Os": version.os,
        "Arch": version.architecture,
        "KernelVersion": version.host_kernel,
    })
}

/// Writes `GET /info`.
pub(crate) fn info(info: &Info, now: Timestamp) -> Value {
    let machine = match info.version.architecture {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    };
    json!({
        "ID": info.id,
        "Containers": info.containers,
        "ContainersRunning": info.running,
        "ContainersPaused": info.paused,
        "ContainersStopped": info.stopped,
        "Images": info.images,
        "Driver": "hull",
        "DriverStatus": [
            ["Image format", "erofs"],
            ["Accelerator", info.accelerator.as_deref().unwrap_or("unknown")],
            ["QEMU", info.version.qemu.as_deref().unwrap_or("missing")],
        ],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "null"],
            "Authorization": null,
            "Log": ["json-file", "local"],
        },
        "MemoryLimit": true,
        "SwapLimit": true,
        "CpuCfsPeriod": true,
        "CpuCfsQuota": true,
        "CPUShares": true,
        "CPUSet": true,
        "PidsLimit": true,
        "IPv4Forwarding": false,
        "Debug": false,
        "NFd": 0,
        "OomKillDisable": false,
        "NGoroutines": 0,
        "SystemTime": super::time(Some(now)),
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "2",
        "NEventsListener": 0,
        "KernelVersion": info.version.host_kernel,
        "OperatingSystem": info.operating_system,
        "OSVersion": "",
        "OSType": "linux",
        "Architecture": machine,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {
            "InsecureRegistryCIDRs": ["127.0.0.0/8", "::1/128"],
            "IndexConfigs": {
                "docker.io": {"Name": "docker.io", "Mirrors": [], "Secure": true, "Official": true},
            },
            "Mirrors": [],
        },
        "NCPU": info.cpus,
        "MemTotal": info.memory,
        "GenericResources": null,
        "DockerRootDir": info.root.to_string_lossy(),
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Name": info.host_name,
        "Labels": [],
        "ExperimentalBuild": false,
        "ServerVersion": info.version.hull,
        "Runtimes": {"hull": {"path": "hull"}},
        "DefaultRuntime": "hull",
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": false,
            "Error": "",
            "RemoteManagers": null,
        },
        "LiveRestoreEnabled": true,
        "Isolation": "",
        "InitBinary": "hull-init",
        "ContainerdCommit": {"ID": ""},
        "RuncCommit": {"ID": ""},
        "InitCommit": {"ID": ""},
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=vm"],
        "Warnings": null,
    })
}

/// Writes one check of the host.
pub(crate) fn check(check: &Check) -> Value {
    json!({
        "Name": check.name,
        "Outcome": match check.outcome {
            Outcome::Good => "good",
            Outcome::Warning => "warning",
            Outcome::Bad => "bad",
        },
        "Found": check.found,
        "Hint": check.hint,
    })
}

/// Writes a guest kernel.
pub(crate) fn kernel(kernel: &KernelInfo) -> Value {
    json!({
        "Path": kernel.path.to_string_lossy(),
        "Version": kernel.version,
        "Architecture": kernel.architecture,
        "Size": kernel.size,
        "Replaced": kernel.replaced,
    })
}
