//! The disks of the guest, found by serial number and mounted while something uses them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use hull_protocol::ErrorCode;
use rustix::fs::Advice;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::channel::{device_events, wait_event};
use crate::failure::{Context, Failure, Result};
use crate::setup::{STATE_DIR, make_dir};

/// Mounted disks, by serial number.
#[derive(Debug, Default)]
pub(crate) struct Disks {
    mounted: BTreeMap<String, u32>,
    /// Device nodes found ahead, by serial number.
    known: BTreeMap<String, String>,
    held: Option<Held>,
}

/// A disk that stays mounted.
#[derive(Debug)]
struct Held {
    serial: String,
    /// No container has used the layer that was made ahead on it.
    has_new_layer: bool,
}

impl Disks {
    /// Mounts the disk `serial` unless it is mounted, and returns where. Must be paired with
    /// [`Disks::release`].
    pub(crate) fn acquire(
        &mut self,
        serial: &str,
        kind: &str,
        flags: MountFlags,
    ) -> Result<String> {
        let path = mount_point(serial)?;
        if let Some(users) = self.mounted.get_mut(serial) {
            *users += 1;
            return Ok(path);
        }
        let device = match self.known.get(serial) {
            Some(device) => device.clone(),
            None => find(serial)?,
        };
        make_dir(&format!("{STATE_DIR}/disk")).context(|| format!("mkdir {STATE_DIR}/disk"))?;
        make_dir(&path).context(|| format!("mkdir {path}"))?;
        let name = std::ffi::CString::new(kind)
            .map_err(|_| Failure::invalid("file system type with a null byte"))?;
        let options = match kind {
            // What it would look for or clear ahead is not needed: files are few, and the disk is
            // sparse. What is freed becomes a hole of the host's file, with the next commit.
            "ext4" => Some(c"discard,noinit_itable,no_prefetch_block_bitmaps"),
            _ => None,
        };
        // Kept open until the mount has it open, too: the last to close drops what was read.
        let _ahead = (kind == "erofs").then(|| read_ahead(&device));
        mount(device.as_str(), path.as_str(), name.as_c_str(), flags, options)
            .context(|| format!("mount disk {serial} ({device}) as {kind}"))?;
        self.mounted.insert(serial.into(), 1);
        Ok(path)
    }

    /// Notes where all disks are that there are now.
    pub(crate) fn find_all(&mut self) {
        self.known = all().collect();
    }

    /// Keeps the disk `serial`, which is mounted and has a new layer, from being unmounted by
    /// [`Disks::release`].
    pub(crate) fn hold(&mut self, serial: &str) {
        self.held = Some(Held { serial: serial.into(), has_new_layer: true });
    }

    /// Whether the disk was mounted ahead of any container.
    pub(crate) fn is_held(&self, serial: &str) -> bool {
        self.held.as_ref().is_some_and(|held| held.serial == serial)
    }

    /// Whether the disk has a layer that was made ahead; only the first caller gets it.
    pub(crate) fn take_layer(&mut self, serial: &str) -> bool {
        let held = self.held.as_mut().filter(|held| held.serial == serial);
        held.is_some_and(|held| std::mem::take(&mut held.has_new_layer))
    }

    /// Unmounts the disk that was mounted ahead.
    pub(crate) fn let_go(&mut self) -> Result<()> {
        match self.held.take() {
            Some(held) => self.release(&held.serial),
            None => Ok(()),
        }
    }

    /// Unmounts the disk if nothing else uses it.
    pub(crate) fn release(&mut self, serial: &str) -> Result<()> {
        let Some(users) = self.mounted.get_mut(serial) else {
            return Ok(());
        };
        *users -= 1;
        if *users > 0 {
            return Ok(());
        }
        self.mounted.remove(serial);
        unmount(mount_point(serial)?.as_str(), UnmountFlags::empty())
            .context(|| format!("unmount disk {serial}"))
    }
}

/// Has what an image's disk begins with read in one piece: its inodes and directories, which are
/// otherwise read a page at a time. Returns the open disk.
fn read_ahead(device: &str) -> Option<File> {
    let disk = File::open(device).ok()?;
    let _ = rustix::fs::fadvise(&disk, 0, Some(METADATA_BYTES), Advice::WillNeed);
    Some(disk)
}

fn mount_point(serial: &str) -> Result<String> {
    if serial.is_empty() || serial.contains(['/', '\0']) || serial.starts_with('.') {
        return Err(Failure::invalid(format!("malformed disk serial {serial:?}")));
    }
    Ok(format!("{STATE_DIR}/disk/{serial}"))
}

/// Returns the device node of the disk `serial`, waiting a little for one that is being plugged.
fn find(serial: &str) -> Result<String> {
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut events = None;
    loop {
        if let Some(device) = find_now(serial) {
            return Ok(device);
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(
                ErrorCode::NotFound,
                format!("no disk with serial {serial} in this machine"),
            ));
        }
        match &events {
            None => events = Some(device_events().context(|| "watch devices".into())?),
            Some(events) => wait_event(events, Duration::from_millis(100)),
        }
    }
}

fn find_now(serial: &str) -> Option<String> {
    all().find_map(|(found, device)| (found == serial).then_some(device))
}

/// Returns serial numbers and device nodes of all disks.
fn all() -> impl Iterator<Item = (String, String)> {
    let entries = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok().filter(|name| name.starts_with("vd"))?;
        let serial = fs::read_to_string(format!("/sys/block/{name}/serial")).ok()?;
        Some((serial.trim_end().to_owned(), format!("/dev/{name}")))
    })
}

/// All that a small image has, and what is needed first of a large one.
const METADATA_BYTES: NonZeroU64 = NonZeroU64::new(64 << 10).unwrap();
