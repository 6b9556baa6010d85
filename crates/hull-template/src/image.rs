//! The image of a container that is run for practice.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use hull_layer::Limits;

/// How often a machine that waits runs its container: some of what a guest does it does differently
/// when it has done it before.
pub const TIMES: u32 = 3;
/// What its container executes: the agent as the init of `--init`, which knows the word. A program of
/// the image would leave memory behind that was code, which a translator has to find out for every
/// piece of it when the memory is used for something else.
pub const COMMAND: [&str; 2] = ["/sbin/docker-init", "--rehearse"];
/// Where its container has a directory of the host.
pub const SHARE: &str = "/share";

/// Writes an image disk to `path` that has what containers look for in one.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write(path: &Path) -> io::Result<()> {
    let archive = archive()?;
    let mut data = Vec::new();
    let converted = hull_layer::convert(archive.as_slice(), &mut data, &Limits::default())
        .map_err(io::Error::other)?;
    let merged = hull_layer::merge(&[Arc::new(converted.tree)]).map_err(io::Error::other)?;
    let mut image = Vec::new();
    let layout =
        hull_erofs::write(&merged, &[converted.data_len], &mut image).map_err(io::Error::other)?;
    let file = File::options().write(true).create_new(true).open(path)?;
    file.set_len(hull_erofs::DISK_SIZE)?;
    file.write_all_at(&image, 0)?;
    file.write_all_at(&data, layout.layer_offsets[0])
}

/// Returns a tar archive with the directories that a container's mounts need, the files that users
/// are looked up in, and one to be read: [`COMMAND`] knows it.
fn archive() -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for name in ["dev/", "etc/", "proc/", "sys/", "usr/", "usr/sbin/"] {
        append(&mut archive, name, tar::EntryType::Directory, &[])?;
    }
    // As distributions have it: programs are found by way of a link.
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_mode(0o777);
    link.set_size(0);
    archive.append_link(&mut link, "sbin", "usr/sbin")?;
    let data = vec![0x55; DATA_BYTES];
    let files: [(&str, &[u8]); 3] = [
        ("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"),
        ("etc/group", b"root:x:0:\ndisk:x:6:root\n"),
        ("data", &data),
    ];
    for (name, content) in files {
        append(&mut archive, name, tar::EntryType::Regular, content)?;
    }
    archive.into_inner()
}

fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    name: &str,
    kind: tar::EntryType,
    content: &[u8],
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, name, content)
}

const DATA_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_has_the_size_of_all_disks() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        write(&image).unwrap();
        assert_eq!(std::fs::metadata(&image).unwrap().len(), hull_vmm::disk::DISK_BYTES);
        // The magic number of EROFS, 1 KiB from the start.
        let mut magic = [0; 4];
        File::open(&image).unwrap().read_exact_at(&mut magic, 1024).unwrap();
        assert_eq!(u32::from_le_bytes(magic), 0xe0f5_e1e2);
    }
}
