//! Has `fsck.erofs` check images and compares what the kernel shows of them with the merged tree.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use hull_layer::{
    Compression, Device, Extent, File, Kind, Limits, Merged, Tree, WalkEntry, convert, decompress,
    merge,
};

/// An image with its layers' data.
struct Image {
    merged: Merged,
    blobs: Vec<Vec<u8>>,
}

#[test]
fn recorded_layers() {
    // All that unpack, one on top of the other: later ones remove and replace what is below.
    Image::new(&recorded()).check();
}

#[test]
fn large_directories_and_block_bounds() {
    let mut tar = tar::Builder::new(Vec::new());
    for number in 0..20_000 {
        let name = format!("many/{}", format!("{number:05}").repeat(1 + number % 9));
        append(&mut tar, &name, b"");
    }
    for name in ["dots/.!x", "dots/!", "dots/..x", "dots/-", "dots/...", "dots/.-"] {
        append(&mut tar, name, b"d");
    }
    // Directories whose last block fits behind the inode, or just does not.
    for length in 0..40 {
        for number in 0..15 {
            let name = format!("edge/{length}/{number:02}{}", "n".repeat(240 + length / 4));
            append(&mut tar, &name, b"e");
        }
    }
    for length in [0, 1, 4095, 4096, 4097, 100_000] {
        append(&mut tar, &format!("sizes/{length}"), &vec![b's'; length]);
    }
    Image::new(&[tar.into_inner().unwrap()]).check();
}

#[test]
fn data_outside_of_its_layer_returns_error() {
    let mut tar = tar::Builder::new(Vec::new());
    append(&mut tar, "file", &[1; 10_000]);
    let image = Image::new(&[tar.into_inner().unwrap()]);
    for lengths in [&[8192][..], &[]] {
        let result = hull_erofs::write(&image.merged, lengths, &mut Vec::new());
        assert!(matches!(result, Err(hull_erofs::WriteError::Data { layer: 0 })));
    }
    let result = hull_erofs::write(&image.merged, &[1 << 40], &mut Vec::new());
    assert!(matches!(result, Err(hull_erofs::WriteError::TooLarge { .. })));
}

impl Image {
    fn new(archives: &[Vec<u8>]) -> Self {
        let mut trees: Vec<Arc<Tree>> = Vec::new();
        let mut blobs = Vec::new();
        for archive in archives {
            let mut blob = Vec::new();
            let Ok(converted) = convert(&archive[..], &mut blob, &Limits::default()) else {
                continue;
            };
            trees.push(Arc::new(converted.tree));
            blobs.push(blob);
            if merge(&trees).is_err() {
                trees.pop();
                blobs.pop();
            }
        }
        let merged = merge(&trees).unwrap();
        Self { merged, blobs }
    }

    fn check(&self) {
        let lengths: Vec<u64> = self.blobs.iter().map(|b| b.len() as u64).collect();
        let mut disk = Vec::new();
        let layout = hull_erofs::write(&self.merged, &lengths, &mut disk).unwrap();
        let mut again = Vec::new();
        hull_erofs::write(&self.merged, &lengths, &mut again).unwrap();
        assert!(disk == again, "not the same bytes");
        assert_eq!(layout.meta_len, disk.len() as u64);
        for blob in &self.blobs {
            disk.extend_from_slice(blob);
        }
        assert_eq!(layout.disk_len, disk.len() as u64);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        fs::write(&path, disk).unwrap();
        run("fsck.erofs", &[&path]);
        let mount = directory.path().join("mount");
        fs::create_dir(&mount).unwrap();
        let options = ["-t", "erofs", "-o", "ro,loop"].map(Path::new);
        if run("mount", &[&options[..], &[&path, &mount]].concat()) {
            let wrong = self.compare(&mount);
            assert!(run("umount", &[&mount]));
            assert!(wrong.is_empty(), "{wrong:#?}");
        }
    }

    /// Returns what the kernel shows differently.
    fn compare(&self, mount: &Path) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut names = 0;
        for entry in self.merged.walk() {
            names += 1;
            let path = mount.join(OsStr::from_bytes(&entry.path));
            if let Err(what) = self.compare_entry(&path, &entry) {
                wrong.push(format!("{}: {what}", path.display()));
            }
        }
        let found = count(mount);
        if found != names {
            wrong.push(format!("{found} names, not {names}"));
        }
        wrong
    }

    fn compare_entry(&self, path: &Path, entry: &WalkEntry<'_>) -> Result<(), String> {
        let WalkEntry { inode, node, .. } = entry;
        let found = fs::symlink_metadata(path).map_err(|e| e.to_string())?;
        let mtime = (found.mtime(), found.mtime_nsec());
        let same = found.mode() & 0o7777 == u32::from(inode.mode)
            && (found.uid(), found.gid()) == (inode.uid, inode.gid)
            && mtime == (inode.mtime.sec, i64::from(inode.mtime.nsec))
            && found.nlink() == u64::from(node.nlink)
            && self.same_kind(path, &found, entry);
        if !same {
            return Err(format!("{found:?} is not {inode:?}"));
        }
        let mut names = vec![0; 1 << 16];
        let len = rustix::fs::llistxattr(path, &mut names[..]).map_err(|e| e.to_string())?;
        let listed = names[..len].split(|b| *b == 0).filter(|n| !n.is_empty());
        let listed = listed.count();
        if listed != inode.xattrs.len() {
            return Err(format!("{listed} attributes, not {}", inode.xattrs.len()));
        }
        for xattr in &inode.xattrs {
            let mut value = vec![0; 1 << 16];
            let len = rustix::fs::lgetxattr(path, &*xattr.name, &mut value[..]);
            if value[..len.map_err(|e| e.to_string())?] != *xattr.value {
                return Err(format!("{xattr:?}"));
            }
        }
        Ok(())
    }

    fn same_kind(&self, path: &Path, found: &Metadata, entry: &WalkEntry<'_>) -> bool {
        let kind = found.file_type();
        let device = |d: &Device| rustix::fs::makedev(d.major, d.minor) == found.rdev();
        match &entry.inode.kind {
            Kind::BlockDevice(d) => kind.is_block_device() && device(d),
            Kind::CharDevice(d) => kind.is_char_device() && device(d),
            Kind::Directory(_) => kind.is_dir(),
            Kind::Fifo => kind.is_fifo(),
            Kind::Symlink(target) => {
                fs::read_link(path).unwrap().as_os_str().as_bytes() == &**target
            }
            Kind::File(file) => {
                kind.is_file() && fs::read(path).unwrap() == self.content(entry.node.layer, file)
            }
        }
    }

    fn content(&self, layer: usize, file: &File) -> Vec<u8> {
        let mut out = vec![0; file.size.next_multiple_of(4096) as usize];
        for Extent { offset, data, len } in &file.extents {
            out[*offset as usize..][..*len as usize]
                .copy_from_slice(&self.blobs[layer][*data as usize..][..*len as usize]);
        }
        out.truncate(file.size as usize);
        out
    }
}

fn append(tar: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(1_600_000_000);
    tar.append_data(&mut header, name, content).unwrap();
}

fn count(directory: &Path) -> usize {
    let children = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let below = |e: fs::DirEntry| match e.file_type().unwrap().is_dir() {
        true => count(&e.path()),
        false => 1,
    };
    1 + children.map(below).sum::<usize>()
}

/// Runs a program; returns false, and says why, if that is not possible here.
fn run(program: &str, arguments: &[&Path]) -> bool {
    match Command::new(program).args(arguments).output() {
        Err(error) => eprintln!("skipped: {program} does not run: {error}"),
        Ok(output) if output.status.success() => return true,
        Ok(output) if program == "mount" => {
            eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(output) => panic!("{program}: {}", String::from_utf8_lossy(&output.stderr)),
    }
    false
}

/// Returns the layers that were recorded with Docker.
fn recorded() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for line in include_str!("../../hull-layer/tests/docker/recorded.jsonl").lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        for layer in case["layers"].as_array().unwrap() {
            let text = layer.as_str().unwrap();
            let packed = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, text).unwrap();
            let mut archive = Vec::new();
            let mut reader = decompress(&packed[..], Compression::Gzip).unwrap();
            reader.read_to_end(&mut archive).unwrap();
            out.push(archive);
        }
    }
    out
}
