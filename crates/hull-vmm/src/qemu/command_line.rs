//! QEMU's command line, rendered from shape and configuration alone.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use crate::accel::Accelerator;
use crate::disk::{Disk, DiskError, Slot};
use crate::machine::Configuration;
use crate::nic::NicPlace;
use crate::shape::{MachineType, Shape};

use super::{blockdev, nic};

/// What the new process inherits or finds on this host.
#[derive(Clone, Debug)]
pub(crate) struct Resources {
    pub(crate) monitor: RawFd,
    pub(crate) channel: RawFd,
    pub(crate) share: RawFd,
    pub(crate) origin: Origin,
    /// Firmware that does nothing but enter the kernel; `None`: QEMU's default.
    pub(crate) firmware: Option<PathBuf>,
    /// QEMU was built with seccomp and can give up system calls.
    pub(crate) sandbox: bool,
}

/// Where the guest comes from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// It boots in memory of the process.
    Boot { initrd: PathBuf },
    /// It boots in the memory file of a template.
    Template { initrd: PathBuf, memory: PathBuf },
    /// It is in the memory that is mapped in place of this file, and a device state to come.
    Fork { memory: PathBuf },
    /// It is in a state to come, memory and all; its interfaces have the taps with these numbers.
    Restore { nics: Vec<(NicPlace, RawFd)> },
}

/// Returns the arguments that make a machine of `shape`.
///
/// # Errors
/// [`DiskError::Path`].
pub(crate) fn render(
    shape: &Shape,
    configuration: &Configuration,
    resources: &Resources,
) -> Result<Vec<OsString>, DiskError> {
    let mut line = Line::default();
    line.pair("-name", format!("{},debug-threads=on", escape(&configuration.name)));
    line.one("-nodefaults").one("-no-user-config").one("-no-reboot");
    line.pair("-display", "none");
    if resources.sandbox {
        let mut sandbox = "on,obsolete=deny,elevateprivileges=deny,resourcecontrol=deny".to_owned();
        // Clones are processes that it makes; that none executes a program `hull-remap` sees to.
        if !matches!(resources.origin, Origin::Fork { .. } | Origin::Restore { .. }) {
            sandbox.push_str(",spawn=deny");
        }
        line.pair("-sandbox", sandbox);
    }
    machine(&mut line, shape, resources);
    guest(&mut line, shape, &resources.origin);
    control(&mut line, shape, resources);
    devices(&mut line, shape, configuration)?;
    if let Origin::Restore { nics } = &resources.origin {
        for (NicPlace { port, id }, tap) in nics {
            line.pair("-netdev", nic::backend(id, &tap.to_string()).to_string());
            line.pair("-device", nic::device(id, usize::from(*port)).to_string());
        }
    }
    Ok(line.arguments)
}

fn machine(line: &mut Line, shape: &Shape, resources: &Resources) {
    let machine = match shape.machine {
        MachineType::Q35 => {
            "q35,usb=off,smbus=off,sata=off,vmport=off,i8042=off,hpet=off,smm=off,graphics=off,\
             dump-guest-core=off"
        }
        MachineType::Virt => "virt,gic-version=max,its=off,highmem=on,dump-guest-core=off",
    };
    line.pair(
        "-machine",
        match resources.origin {
            Origin::Boot { .. } => machine.to_owned(),
            Origin::Template { .. } | Origin::Fork { .. } | Origin::Restore { .. } => {
                format!("{machine},memory-backend={MEMORY}")
            }
        },
    );
    let accelerator = match shape.accelerator {
        Accelerator::Hvf => "hvf".to_owned(),
        Accelerator::Kvm => "kvm".to_owned(),
        Accelerator::Tcg => format!("tcg,thread=multi,tb-size={TRANSLATION_CACHE_MIB}"),
    };
    line.pair("-accel", accelerator);
    line.pair("-cpu", &shape.cpu);
    line.pair("-smp", shape.vcpus.to_string());
    line.pair("-m", format!("{}M", shape.memory_mib));
    if let (MachineType::Q35, Some(firmware)) = (shape.machine, &resources.firmware) {
        line.pair("-bios", firmware);
    }
}

/// The guest's memory, and what it boots.
fn guest(line: &mut Line, shape: &Shape, origin: &Origin) {
    let initrd = match origin {
        Origin::Boot { initrd } => initrd,
        Origin::Template { initrd, memory } => {
            line.pair("-object", shared_memory(shape, memory));
            initrd
        }
        Origin::Fork { memory } => {
            line.pair("-object", shared_memory(shape, memory));
            // No kernel: it is in the memory already.
            line.pair("-incoming", "defer");
            return;
        }
        Origin::Restore { .. } => {
            let size = shape.memory_mib;
            line.pair("-object", format!("memory-backend-ram,id={MEMORY},size={size}M"));
            line.pair("-incoming", "defer");
            return;
        }
    };
    line.pair("-kernel", &shape.kernel.path);
    line.pair("-initrd", initrd);
    line.pair("-append", kernel_parameters(shape));
}

/// Returns memory in a file. What is shared and has a name is left out of the device state, both
/// when it is saved and when it is loaded; a `memory-backend-memfd` has none.
fn shared_memory(shape: &Shape, path: &Path) -> OsString {
    let mut object = OsString::from("memory-backend-file,mem-path=");
    object.push(path);
    object.push(format!(",id={MEMORY},size={}M,share=on", shape.memory_mib));
    object
}

/// Returns the kernel's command line. It is part of the shape: nothing of a container is in it.
fn kernel_parameters(shape: &Shape) -> String {
    let console = match shape.machine {
        MachineType::Q35 => "ttyS0",
        MachineType::Virt => "ttyAMA0",
    };
    // panic=-1 reboots at once, which -no-reboot turns into the machine's end. No container has an
    // interface that nobody asked for.
    let mut parameters = format!("console={console} quiet panic=-1 dummy.numdummies=0");
    if shape.machine == MachineType::Q35 {
        // Hotplug is ACPI's; the PCIe port driver takes 30 ms.
        parameters.push_str(" reboot=t pcie_ports=compat");
    }
    if shape.machine == MachineType::Q35 && shape.accelerator == Accelerator::Tcg {
        // All translated CPUs have one clock, whose rate is known: nothing of it need be measured
        // or tested. Patching lock prefixes away means translating everything twice. The registers
        // of the local APIC are reached as MSRs: as memory, the end of an interrupt was lost in
        // one boot of 200 on a busy host, and the guest hung.
        parameters.push_str(
            " no_timer_check tsc=reliable noreplace-smp lapic_timer_hz=1000000000 \
             x2apic_without_remapping",
        );
        if let Some(khz) = shape.clock.tsc_khz {
            parameters.push_str(&format!(" tsc_early_khz={khz}"));
            if let Some(hz) = shape.clock.kernel_hz.filter(|hz| *hz > 0) {
                let loops = u64::from(khz) * 1000 / u64::from(hz);
                parameters.push_str(&format!(" lpj={loops}"));
            }
        }
    }
    parameters
}

/// Monitor, console, guest channel and the port for shared directories. None of them has a name in the file system.
fn control(line: &mut Line, shape: &Shape, resources: &Resources) {
    line.pair("-chardev", format!("socket,id=monitor,fd={}", resources.monitor));
    line.pair("-mon", "chardev=monitor,mode=control");
    line.pair("-chardev", "stdio,id=console,signal=off");
    line.pair("-serial", "chardev:console");
    line.pair("-chardev", format!("socket,id=channel,fd={}", resources.channel));
    line.pair("-device", pci(shape, "virtio-serial", "id=serial,max_ports=3"));
    line.pair(
        "-device",
        format!("virtserialport,id=rpc,bus=serial.0,chardev=channel,name={PORT_NAME}"),
    );
    line.pair("-chardev", format!("socket,id=share,fd={}", resources.share));
    line.pair(
        "-device",
        format!("virtserialport,id=fs,bus=serial.0,chardev=share,name={SHARE_PORT_NAME}"),
    );
}

/// Every virtio device is 2 ms of the VMM's start. There is none for random numbers: the host gives
/// the guest some with its identity, and the CPU has an instruction for them.
fn devices(line: &mut Line, shape: &Shape, configuration: &Configuration) -> Result<(), DiskError> {
    for slot in Slot::ALL.into_iter().filter(|slot| shape.devices.has(*slot)) {
        disk(line, shape, configuration.disks.of(slot), slot)?;
    }
    if shape.devices.balloon {
        line.pair("-device", pci(shape, "virtio-balloon", "free-page-reporting=on"));
    }
    for port in 0..shape.devices.spare_ports {
        line.pair(
            "-device",
            format!("pcie-root-port,id=port{port},chassis={0},slot={0},io-reserve=0", port + 1),
        );
    }
    Ok(())
}

/// Adds the disk in `slot`: a raw node that stays, and below it what [`blockdev`] exchanges.
fn disk(line: &mut Line, shape: &Shape, disk: &Disk, slot: Slot) -> Result<(), DiskError> {
    let name = slot.name();
    line.pair("-blockdev", blockdev::below(slot, disk, 0)?.to_string());
    line.pair("-blockdev", blockdev::top(slot, 0).to_string());
    // The guest is told of an error and its program sees one, as on a disk of its own. By default
    // a full host would stop the machine with nobody there to say why.
    let options = format!("drive={name},serial={name},werror=report,rerror=report");
    line.pair("-device", pci(shape, "virtio-blk", &options));
    Ok(())
}

/// Returns a modern virtio device on the PCI bus.
fn pci(_shape: &Shape, device: &str, options: &str) -> String {
    format!("{device}-pci,disable-legacy=on,{options}")
}

/// Doubles commas, which separate options.
fn escape(text: &str) -> String {
    text.replace(',', ",,")
}

#[derive(Debug, Default)]
struct Line {
    arguments: Vec<OsString>,
}

impl Line {
    fn one(&mut self, argument: &str) -> &mut Self {
        self.arguments.push(argument.into());
        self
    }

    fn pair(&mut self, option: &str, value: impl Into<OsString>) {
        self.arguments.push(option.into());
        self.arguments.push(value.into());
    }
}

/// Name of the guest's memory; part of the device state.
const MEMORY: &str = "mem";

/// Name of the guest channel's port; `hull_protocol::PORT_NAME` has the same.
const PORT_NAME: &str = "hull.rpc";

/// Name of the port for shared directories; `hull_protocol::SHARE_PORT_NAME` has the same.
const SHARE_PORT_NAME: &str = "hull.fs";

/// Most memory that QEMU's translator may fill with translated code. It is touched as it is
/// used; the default of 1 GiB lets a busy guest take as much. When it is full all is dropped
/// and what still runs is translated anew.
const TRANSLATION_CACHE_MIB: u32 = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;
    use crate::disk::Disks;
    use crate::shape::{Arch, Artifact, DeviceSet, GuestClock};

    fn shape(arch: Arch, accelerator: Accelerator) -> Shape {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let artifact = |path: &str| Artifact { path: path.into(), ..Artifact::at(&file).unwrap() };
        Shape {
            arch,
            machine: MachineType::of(arch),
            kernel: artifact("/lib/kernel,1"),
            agent: artifact("/lib/hull-init"),
            vmm: "QEMU 10.0.2".into(),
            program: artifact("/usr/bin/qemu"),
            accelerator,
            cpu: accelerator.cpu_model(arch).into(),
            host_cpu: None,
            vcpus: 2,
            memory_mib: 320,
            devices: DeviceSet {
                image: true,
                scratch: true,
                kept: true,
                balloon: true,
                spare_ports: 2,
            },
            clock: GuestClock { tsc_khz: Some(2_600_000), kernel_hz: Some(250) },
            format: 0,
        }
    }

    fn lines(shape: &Shape, origin: Origin) -> String {
        let configuration = Configuration {
            name: "hull-1,2".into(),
            working_dir: "/home".into(),
            disks: Disks {
                image: Disk::at("/home/roots/a,b/disk.vmdk"),
                scratch: Disk::at("/home/scratch.ext4"),
                kept: Disk::Placeholder,
            },
        };
        let resources = Resources {
            monitor: 5,
            channel: 6,
            share: 9,
            origin,
            firmware: Some("/usr/share/qemu/qboot.rom".into()),
            sandbox: true,
        };
        let arguments = render(shape, &configuration, &resources).unwrap();
        let mut lines = String::new();
        for argument in arguments {
            let argument = argument.into_string().unwrap();
            lines.push(if argument.starts_with('-') { '\n' } else { ' ' });
            match serde_json::from_str(&argument) {
                Ok(node @ Value::Object(_)) => lines.push_str(&sorted(node).to_string()),
                _ => lines.push_str(&argument),
            }
        }
        lines
    }

    /// The order of an object's members depends on what else is built with this crate (feature
    /// `preserve_order` of serde_json).
    fn sorted(value: Value) -> Value {
        match value {
            Value::Object(members) => {
                let members: BTreeMap<_, _> =
                    members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
                Value::Object(members.into_iter().collect())
            }
            other => other,
        }
    }

    fn boot() -> Origin {
        Origin::Boot { initrd: "/proc/self/fd/7".into() }
    }

    #[test]
    fn x86_64_under_translation() {
        insta::assert_snapshot!(lines(&shape(Arch::X86_64, Accelerator::Tcg), boot()));
    }

    #[test]
    fn x86_64_under_kvm() {
        insta::assert_snapshot!(lines(&shape(Arch::X86_64, Accelerator::Kvm), boot()));
    }

    #[test]
    fn aarch64_under_hvf() {
        insta::assert_snapshot!(lines(&shape(Arch::Aarch64, Accelerator::Hvf), boot()));
    }

    #[test]
    fn template() {
        let origin =
            Origin::Template { initrd: "/proc/self/fd/7".into(), memory: "/proc/self/fd/8".into() };
        insta::assert_snapshot!(lines(&shape(Arch::X86_64, Accelerator::Tcg), origin));
    }

    #[test]
    fn restore() {
        let shape = shape(Arch::X86_64, Accelerator::Tcg);
        let nics = vec![(NicPlace { port: 1, id: "eth0".into() }, 12)];
        insta::assert_snapshot!(lines(&shape, Origin::Restore { nics }));
    }

    #[test]
    fn fork() {
        let origin = Origin::Fork { memory: "/proc/self/fd/8".into() };
        insta::assert_snapshot!(lines(&shape(Arch::X86_64, Accelerator::Tcg), origin));
    }
}
