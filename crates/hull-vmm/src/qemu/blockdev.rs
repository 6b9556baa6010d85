//! Block nodes of a disk: a `raw` node that the device uses as long as the machine exists, and
//! below it the node of the file, which can be exchanged.

use serde_json::{Value, json};

use crate::disk::{DISK_BYTES, Disk, DiskError, DiskFormat, Slot};

/// Returns the node that the device in `slot` uses, over the file's node of `generation`.
pub(super) fn top(slot: Slot, generation: u32) -> Value {
    let mut node = json!({
        "driver": "raw",
        "node-name": slot.name(),
        "read-only": slot.is_read_only(),
        "file": name(slot, generation),
    });
    if !slot.is_read_only() {
        // Discarded blocks become holes of the file again.
        node["discard"] = "unmap".into();
        node["detect-zeroes"] = "unmap".into();
    }
    node
}

/// Returns the node of `generation` that holds the content of `disk`.
///
/// # Errors
/// [`DiskError::Path`]: the monitor speaks JSON.
pub(super) fn below(slot: Slot, disk: &Disk, generation: u32) -> Result<Value, DiskError> {
    let mut node = match disk {
        Disk::Placeholder => {
            json!({ "driver": "null-co", "size": DISK_BYTES, "read-zeroes": true })
        }
        Disk::File { path, format } => {
            let path = path.to_str().ok_or_else(|| DiskError::Path(path.clone()))?;
            let file = json!({ "driver": "file", "filename": path });
            match format {
                DiskFormat::Raw => file,
                DiskFormat::Qcow2 => {
                    json!({ "driver": "qcow2", "file": with_access(file, slot) })
                }
                DiskFormat::Vmdk => json!({ "driver": "vmdk", "file": with_access(file, slot) }),
            }
        }
    };
    node["node-name"] = name(slot, generation).into();
    Ok(with_access(node, slot))
}

/// Returns the name of the node that holds the content.
pub(super) fn name(slot: Slot, generation: u32) -> String {
    format!("{}-{generation}", slot.name())
}

fn with_access(mut node: Value, slot: Slot) -> Value {
    node["read-only"] = slot.is_read_only().into();
    if !slot.is_read_only() {
        node["discard"] = "unmap".into();
    }
    node
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn formats_are_nested_and_access_is_the_same_at_every_level() {
        let node = below(Slot::Scratch, &Disk::at("/a,b/c.qcow2"), 3).unwrap();
        assert_eq!(node["node-name"], "scratch-3");
        for level in [&node, &node["file"]] {
            assert_eq!(level["read-only"], false);
            assert_eq!(level["discard"], "unmap");
        }
        assert_eq!(node["file"]["filename"], "/a,b/c.qcow2");
        let node = below(Slot::Image, &Disk::at("/a/disk.vmdk"), 0).unwrap();
        assert_eq!((&node["driver"], &node["file"]["read-only"]), (&"vmdk".into(), &true.into()));
    }

    #[test]
    fn paths_must_be_text() {
        let path = OsStr::from_bytes(b"/a/\xff");
        let error = below(Slot::Image, &Disk::at(path), 0).unwrap_err();
        assert!(matches!(error, DiskError::Path(_)));
    }
}
