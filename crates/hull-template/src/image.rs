//! The image of a container that is run for practice.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use hull_layer::Limits;

/// The only program in the image: the guest agent, which ends at once under this name. It is at hand
/// and needs no library.
pub const PROGRAM: &str = "/bin/rehearsal";
/// Where its container has a directory of the host.
pub const SHARE: &str = "/share";

/// Writes an image disk with `program` as [`PROGRAM`] to `path`.
///
/// # Errors
/// If a file cannot be read or written.
pub(crate) fn write(path: &Path, program: &Path) -> io::Result<()> {
    let program = fs::read(program)?;
    let archive = archive(&program)?;
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

/// Returns a tar archive with the directories that a container's mounts need, and the program.
fn archive(program: &[u8]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for name in ["bin/", "dev/", "etc/", "proc/", "sys/"] {
        append(&mut archive, name, tar::EntryType::Directory, &[])?;
    }
    append(&mut archive, PROGRAM.trim_start_matches('/'), tar::EntryType::Regular, program)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_has_the_size_of_all_disks() {
        let dir = tempfile::tempdir().unwrap();
        let (program, image) = (dir.path().join("agent"), dir.path().join("image"));
        fs::write(&program, [1; 10_000]).unwrap();
        write(&image, &program).unwrap();
        assert_eq!(fs::metadata(&image).unwrap().len(), hull_vmm::disk::DISK_BYTES);
        // The magic number of EROFS, 1 KiB from the start.
        let mut magic = [0; 4];
        File::open(&image).unwrap().read_exact_at(&mut magic, 1024).unwrap();
        assert_eq!(u32::from_le_bytes(magic), 0xe0f5_e1e2);
    }
}
