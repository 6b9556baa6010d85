//! Virtual machine monitors behind one trait.
//!
//! What a machine *is* ([`Shape`]) is kept apart from what one boot of it is given
//! ([`Configuration`]): all machines of one shape can later be forked from one template.
#![deny(unsafe_code)]

pub mod accel;
pub mod initrd;
pub mod kernel_check;
pub mod machine;
pub mod qemu;
pub mod shape;

mod platform;

pub use accel::{Accelerator, Choice};
pub use machine::{BootError, Configuration, Disk, DiskFormat, End, Machine, PowerState, Vmm};
pub use qemu::Qemu;
pub use shape::{Arch, Artifact, DeviceSet, GuestClock, MachineType, Shape};
