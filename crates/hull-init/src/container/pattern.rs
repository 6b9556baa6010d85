//! What containers that are made ahead of any request look like, and which requests they fit.

use hull_protocol::Create;
use hull_spec::{DeviceRule, Linux, Mount, Spec};

use crate::container::mount_options::Options;
use crate::container::{CLONE_NEWTIME, namespace_flags};

/// The specification that prepared containers are made after.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) linux: Linux,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) oom_score_adj: Option<i32>,
    /// `CLONE_NEW*` of [`namespace_flags`].
    pub(crate) namespaces: i32,
}

impl Pattern {
    /// Takes the parts of `spec` that can be made ahead; `None` if its containers are too special.
    pub(crate) fn new(spec: Spec) -> Option<Self> {
        let namespaces = namespace_flags(&spec);
        let pattern = Self {
            linux: spec.linux?,
            mounts: spec.mounts,
            oom_score_adj: spec.process?.oom_score_adj,
            namespaces,
        };
        // The container's own /proc is what it works with until then, and /dev is filled ahead.
        let has = |destination: &str, kind: &str| {
            let mut staged = pattern.mounts.iter().filter(|mount| is_staged(mount));
            staged.any(|mount| mount.destination == destination && mount.kind == kind)
        };
        let fits = has("/proc", "proc")
            && has("/dev", "tmpfs")
            && namespaces & libc::CLONE_NEWPID != 0
            && namespaces & CLONE_NEWTIME == 0
            && pattern.mounts.iter().all(|mount| !is_bind(mount))
            && pattern.linux.devices.iter().all(|device| device.path.starts_with("/dev/"));
        fits.then_some(pattern)
    }

    /// Kernel parameters that are the whole guest's, and which every container of the pattern sets.
    pub(crate) fn shared_sysctls(&self) -> impl Iterator<Item = (&String, &String)> {
        self.linux.sysctl.iter().filter(|(key, _)| is_shared(key))
    }

    /// Whether a container sets all of [`Pattern::shared_sysctls`] to the same values.
    pub(crate) fn shares_sysctls(&self, spec: &Spec) -> bool {
        let wanted = spec.linux.as_ref().map(|linux| &linux.sysctl);
        let same = |(key, value)| wanted.is_some_and(|wanted| wanted.get(key) == Some(value));
        self.shared_sysctls().all(same)
    }

    /// Whether a container made ahead is what `request` with `spec` asks for, once what differs
    /// from one container to the next has been added.
    pub(crate) fn fits(&self, spec: &Spec, request: &Create) -> bool {
        let no_linux = Linux::default();
        let linux = spec.linux.as_ref().unwrap_or(&no_linux);
        let oom_score_adj = spec.process.as_ref().and_then(|process| process.oom_score_adj);
        linux.namespaces == self.linux.namespaces
            && linux.devices == self.linux.devices
            && device_rules(linux) == device_rules(&self.linux)
            // The one that it was forked with is not the guest's any more.
            && !(spec.hostname.is_empty() && self.namespaces & libc::CLONE_NEWUTS != 0)
            && (oom_score_adj.is_some() || self.oom_score_adj.is_none())
            && self.fits_mounts(&spec.mounts)
            && request.files.keys().all(|path| !is_dev(path))
    }

    /// Whether `mounts` are those made ahead, as to where they are, and others after them. Any of
    /// them may have other options: then it is made as if nothing had been made ahead.
    fn fits_mounts(&self, mounts: &[Mount]) -> bool {
        if mounts == self.mounts {
            return true;
        }
        let Some((first, others)) = mounts.split_at_checked(self.mounts.len()) else {
            return false;
        };
        let same = |(a, b): (&Mount, &Mount)| a.destination == b.destination && a.kind == b.kind;
        // The sources of bind mounts are the agent's, not those of when the container was forked.
        first.iter().zip(&self.mounts).all(same)
            && mounts.iter().all(|mount| !is_bind(mount))
            && others.iter().all(|mount| !is_dev(&mount.destination))
    }
}

/// Whether a mount can be made before its place in a root is known.
pub(crate) fn is_staged(mount: &Mount) -> bool {
    let options = Options::parse(&mount.options);
    let is_plain = match mount.kind.as_str() {
        "proc" | "sysfs" | "cgroup" | "devpts" | "mqueue" => true,
        // Without a mode of its own it has that of the directory that it covers.
        "tmpfs" => {
            options.data.split(',').any(|word| word.starts_with("mode="))
                && !options.copy_up
                && !options.flags.contains(rustix::mount::MountFlags::RDONLY)
        }
        _ => false,
    };
    is_plain && !options.bind && options.propagation.is_empty() && mount.destination.len() > 1
}

fn device_rules(linux: &Linux) -> &[DeviceRule] {
    linux.resources.as_ref().map_or(&[], |resources| &resources.devices)
}

/// Whether a kernel parameter is not of a namespace that containers have for themselves.
fn is_shared(key: &str) -> bool {
    key.starts_with("net.") || key.starts_with("net/")
}

fn is_bind(mount: &Mount) -> bool {
    mount.kind == "bind" || Options::parse(&mount.options).bind
}

/// Whether a path is /dev or below, or is not plain enough to tell.
fn is_dev(path: &str) -> bool {
    let is_odd = |pair: &[u8]| matches!(pair, b"//" | b"/.");
    let below = path.strip_prefix("/dev");
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        || !path.starts_with('/')
        || path.as_bytes().windows(2).any(is_odd)
}

#[cfg(test)]
mod tests {
    use hull_protocol::{Rootfs, Stdio};
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::*;

    fn specification() -> serde_json::Value {
        json!({
            "process": {"args": ["true"], "cwd": "/", "oomScoreAdj": 0},
            "hostname": "a",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                 "options": ["nosuid", "mode=755", "size=65536k"]},
                {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                 "options": ["mode=1777", "size=67108864"]},
            ],
            "linux": {
                "namespaces": [{"type": "mount"}, {"type": "uts"}, {"type": "pid"}],
                "resources": {"devices": [{"allow": false, "access": "rwm"}]},
                "maskedPaths": ["/proc/kcore"],
            },
        })
    }

    fn request() -> Create {
        Create {
            container: "c".into(),
            spec: RawValue::from_string("{}".into()).unwrap(),
            rootfs: Rootfs { image: "image".into(), image_type: "erofs".into(), scratch: None },
            seccomp: None,
            user: None,
            groups: vec![],
            files: [("/etc/hosts".into(), String::new())].into(),
            shares: vec![],
            init: false,
            stdio: Stdio::default(),
        }
    }

    fn parse(value: serde_json::Value) -> Spec {
        serde_json::from_value(value).unwrap()
    }

    /// Whether the pattern fits after `change`.
    fn fits(change: impl FnOnce(&mut serde_json::Value, &mut Create)) -> bool {
        let pattern = Pattern::new(parse(specification())).unwrap();
        let (mut spec, mut request) = (specification(), request());
        change(&mut spec, &mut request);
        pattern.fits(&parse(spec), &request)
    }

    #[test]
    fn what_differs_between_containers_is_no_hindrance() {
        assert!(fits(|_, _| {}));
        assert!(fits(|spec, request| {
            spec["process"] = json!({
                "args": ["sh"], "env": ["A=1"], "cwd": "/x", "user": {"uid": 7}, "oomScoreAdj": 5,
                "rlimits": [{"type": "RLIMIT_CORE"}], "noNewPrivileges": true,
            });
            spec["hostname"] = json!("b");
            spec["root"] = json!({"path": "", "readonly": true});
            spec["linux"]["resources"]["memory"] = json!({"limit": 1 << 30});
            spec["linux"]["cgroupsPath"] = json!("/x/y");
            spec["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
            spec["linux"]["maskedPaths"] = json!([]);
            spec["linux"]["readonlyPaths"] = json!(["/proc/sys"]);
            request.user = Some("daemon".into());
            request.init = true;
        }));
        // These two are made like any other mount.
        assert!(fits(|spec, _| spec["mounts"][2]["options"] = json!(["mode=1777", "size=1"])));
        assert!(fits(|spec, _| {
            let mounts = spec["mounts"].as_array_mut().unwrap();
            mounts.push(json!({"destination": "/run", "type": "tmpfs", "options": ["ro"]}));
        }));
    }

    #[test]
    fn what_was_made_otherwise_does_not_fit() {
        for (pointer, value) in [
            ("/linux/namespaces", json!([{"type": "mount"}, {"type": "pid"}])),
            ("/linux/devices", json!([{"type": "c", "path": "/dev/fuse", "major": 10}])),
            ("/linux/resources/devices", json!([{"allow": true, "access": "rwm"}])),
            ("/hostname", json!("")),
            ("/process", json!({"args": ["true"], "cwd": "/"})),
            ("/mounts/0/destination", json!("/proc2")),
            ("/mounts/2/type", json!("ramfs")),
            ("/mounts/2/options", json!(["bind"])),
        ] {
            let fits = fits(|spec, _| {
                if pointer == "/linux/devices" {
                    spec["linux"]["devices"] = json!([]);
                }
                *spec.pointer_mut(pointer).unwrap() = value.clone();
            });
            assert!(!fits, "{pointer}");
        }
        assert!(!fits(|spec, _| {
            spec["mounts"].as_array_mut().unwrap().pop();
        }));
        for destination in ["/dev/x", "/dev", "//./dev/shm/x", "/x/../dev"] {
            assert!(!fits(|spec, _| {
                let mounts = spec["mounts"].as_array_mut().unwrap();
                mounts.push(json!({"destination": destination, "type": "tmpfs"}));
            }));
        }
        assert!(!fits(|_, request| {
            request.files.insert("/dev/file".into(), String::new());
        }));
    }

    #[test]
    fn parameters_of_the_guest_are_the_same_for_all() {
        let mut spec = specification();
        spec["linux"]["sysctl"] = json!({"net.a": "1", "kernel.b": "2"});
        let pattern = Pattern::new(parse(spec.clone())).unwrap();
        assert_eq!(pattern.shared_sysctls().count(), 1);
        for (sysctl, shares) in [
            (json!({"net.a": "1", "net.c": "3"}), true),
            (json!({"net.a": "2", "kernel.b": "2"}), false),
            (json!({"kernel.b": "2"}), false),
        ] {
            spec["linux"]["sysctl"] = sysctl;
            assert_eq!(pattern.shares_sysctls(&parse(spec.clone())), shares);
        }
        assert!(!pattern.shares_sysctls(&Spec::default()));
    }

    #[test]
    fn some_specifications_have_nothing_to_make_ahead() {
        assert!(Pattern::new(Spec::default()).is_none());
        for (pointer, value) in [
            ("/linux/namespaces", json!([{"type": "mount"}])),
            ("/linux/namespaces", json!([{"type": "pid"}, {"type": "time"}])),
            ("/mounts/0/destination", json!("/p")),
            ("/mounts/1/options", json!(["nosuid"])),
            ("/mounts/2/options", json!(["rbind"])),
        ] {
            let mut spec = specification();
            *spec.pointer_mut(pointer).unwrap() = value;
            assert!(Pattern::new(parse(spec)).is_none(), "{pointer}");
        }
    }

    #[test]
    fn a_mount_whose_content_depends_on_its_place_waits_for_it() {
        let mount = |kind: &str, options: &[&str]| Mount {
            destination: "/x".into(),
            kind: kind.into(),
            source: String::new(),
            options: options.iter().map(|option| (*option).into()).collect(),
        };
        assert!(is_staged(&mount("tmpfs", &["nosuid", "mode=755"])));
        assert!(is_staged(&mount("sysfs", &["ro"])));
        for (kind, options) in [
            ("tmpfs", &["nosuid"][..]),
            ("tmpfs", &["mode=755", "ro"]),
            ("tmpfs", &["mode=755", "tmpcopyup"]),
            ("tmpfs", &["mode=755", "rshared"]),
            ("ext4", &[]),
            ("proc", &["bind"]),
        ] {
            assert!(!is_staged(&mount(kind, options)), "{kind} {options:?}");
        }
    }
}
