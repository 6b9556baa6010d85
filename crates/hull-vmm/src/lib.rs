//! Virtual machine monitors behind one trait.
//!
//! What a machine *is* ([`Shape`]) is kept apart from what one boot of it is given
//! ([`Configuration`]): all machines of one shape can be forked from one template.
#![deny(unsafe_code)]

pub mod accel;
pub mod clone;
pub mod disk;
pub mod initrd;
pub mod kernel_check;
pub mod machine;
pub mod nic;
pub mod qemu;
pub mod shape;
pub mod snapshot;

mod platform;

pub use accel::{Accelerator, Choice};
pub use clone::{CloneError, Exchange};
pub use disk::{Disk, DiskError, DiskFormat, Disks, Slot};
pub use machine::{BootError, Configuration, End, Machine, PowerState, Vmm};
pub use nic::{Nic, NicError, NicPlace};
pub use qemu::{Original, Qemu};
pub use shape::{Arch, Artifact, DeviceSet, GuestClock, MachineType, Shape, Stamp};
pub use snapshot::{ForkError, SaveError, Saved, Snapshot};

/// Returns what changes with every boot of the host.
///
/// # Errors
/// If the host does not say.
pub fn host_boot() -> std::io::Result<String> {
    platform::host_boot()
}
