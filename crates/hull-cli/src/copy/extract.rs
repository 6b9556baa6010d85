//! An archive from a container as files of this machine.
//!
//! Whoever has made the archive is not trusted: nothing is written outside of the target
//! directory. Every directory on the way is opened by itself, without following links, and links
//! that lead out are refused in docker's words.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;
use tar::{Archive, Entry, EntryType};

use super::plan::Rename;

/// Why an archive is not extracted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExtractError {
    #[error("{0}")]
    Archive(#[source] io::Error),
    /// In docker's words.
    #[error("{0}")]
    Refused(String),
    #[error("{action} {name}: {}", io::Error::from(*source))]
    File { action: &'static str, name: String, source: Errno },
}

/// Extracts `archive` into the directory `target`; the name of its root changes as `rename` says.
/// Files belong to the caller, whoever they belong to in the archive.
///
/// # Errors
/// The first entry that cannot be extracted ends it.
pub(crate) fn extract(
    archive: impl Read,
    target: &str,
    rename: &Rename,
) -> Result<(), ExtractError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, target, flags, Mode::empty())
        .map_err(|source| ExtractError::File { action: "open", name: target.to_owned(), source })?;
    let mut extraction = Extraction { root, target, directories: Vec::new() };
    let mut archive = Archive::new(archive);
    for entry in archive.entries().map_err(ExtractError::Archive)? {
        let entry = entry.map_err(ExtractError::Archive)?;
        extraction.entry(entry, rename)?;
    }
    extraction.finish();
    // The sender may be slower to end than the archive.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(ExtractError::Archive)?;
    Ok(())
}

struct Extraction<'a> {
    root: OwnedFd,
    target: &'a str,
    /// Directories and their times, which are set when nothing changes them any more.
    directories: Vec<(OwnedFd, Timestamps)>,
}

impl Extraction<'_> {
    fn entry(
        &mut self,
        mut entry: Entry<'_, impl Read>,
        rename: &Rename,
    ) -> Result<(), ExtractError> {
        let name = rename.apply(&entry.path_bytes());
        let parts = self.parts(&name)?;
        let kind = entry.header().entry_type();
        let Some((last, parents)) = parts.split_last() else {
            // The target itself.
            return match kind {
                EntryType::Directory => Ok(()),
                _ => Err(self.cannot_overwrite("directory", &parts, "non-directory")),
            };
        };
        let shown = text(&name);
        let fail = |action| {
            let name = shown.clone();
            move |source| ExtractError::File { action, name, source }
        };
        let parent = self.parent(parents).map_err(fail("open the directory of"))?;
        let file = CString::new(last.as_slice())
            .map_err(|_| ExtractError::Refused("name with a null byte".into()))?;
        let file = file.as_c_str();
        let is_directory = kind == EntryType::Directory;
        if let Ok(old) = rustix::fs::statat(&parent, file, AtFlags::SYMLINK_NOFOLLOW) {
            let was_directory = FileType::from_raw_mode(old.st_mode) == FileType::Directory;
            match (was_directory, is_directory) {
                (true, false) => {
                    return Err(self.cannot_overwrite("directory", &parts, "non-directory"));
                }
                (false, true) => {
                    return Err(self.cannot_overwrite("non-directory", &parts, "directory"));
                }
                (true, true) => {}
                (false, false) => rustix::fs::unlinkat(&parent, file, AtFlags::empty())
                    .map_err(fail("replace"))?,
            }
        }
        let header = entry.header();
        let mode =
            Mode::from_raw_mode((header.mode().map_err(ExtractError::Archive)? & 0o7777) as _);
        let seconds = header.mtime().map_err(ExtractError::Archive)?;
        let time = Timespec { tv_sec: seconds as _, tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        let attributes = attributes(&mut entry);
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        match kind {
            EntryType::Directory => {
                match rustix::fs::mkdirat(&parent, file, Mode::from_raw_mode(0o700)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(fail("make")(error)),
                }
                let directory = open_directory(&parent, last).map_err(fail("open"))?;
                set_attributes(&directory, &attributes);
                rustix::fs::fchmod(&directory, mode).map_err(fail("chmod"))?;
                self.directories.push((directory, times));
                return Ok(());
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let made = rustix::fs::openat(
                    &parent,
                    file,
                    flags | OFlags::CLOEXEC,
                    Mode::from_raw_mode(0o600),
                );
                let mut made = File::from(made.map_err(fail("create"))?);
                io::copy(&mut entry, &mut made).map_err(ExtractError::Archive)?;
                set_attributes(&made, &attributes);
                rustix::fs::fchmod(&made, mode).map_err(fail("chmod"))?;
                return rustix::fs::futimens(&made, &times).map_err(fail("set the times of"));
            }
            EntryType::Symlink => {
                let link = entry.link_name_bytes().unwrap_or_default().into_owned();
                self.check_link(parents, &name, &link)?;
                rustix::fs::symlinkat(link.as_slice(), &parent, file).map_err(fail("make"))?;
            }
            EntryType::Link => {
                let link = rename.apply(&entry.link_name_bytes().unwrap_or_default());
                let parts = self.parts(&link)?;
                let Some((last, parents)) = parts.split_last() else {
                    return Err(self.breakout("hardlink", &name, &link));
                };
                let from = self.parent(parents).map_err(fail("open the directory of"))?;
                let last = OsStr::from_bytes(last);
                rustix::fs::linkat(&from, last, &parent, file, AtFlags::empty())
                    .map_err(fail("link"))?;
                return Ok(());
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                self.node(&entry, &parent, file, mode).map_err(fail("make"))?;
            }
            EntryType::XGlobalHeader => return Ok(()),
            other => {
                let kind = other.as_byte();
                return Err(ExtractError::Refused(format!("unhandled tar header type {kind}")));
            }
        }
        rustix::fs::utimensat(&parent, file, &times, nofollow).map_err(fail("set the times of"))
    }

    #[cfg(target_os = "linux")]
    fn node(
        &self,
        entry: &Entry<'_, impl Read>,
        parent: &OwnedFd,
        file: &std::ffi::CStr,
        mode: Mode,
    ) -> rustix::io::Result<()> {
        let header = entry.header();
        let number = |number: io::Result<Option<u32>>| number.ok().flatten().unwrap_or(0);
        let kind = match header.entry_type() {
            EntryType::Char => FileType::CharacterDevice,
            EntryType::Block => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let device =
            rustix::fs::makedev(number(header.device_major()), number(header.device_minor()));
        rustix::fs::mknodat(parent, file, kind, mode, device)?;
        rustix::fs::chmodat(parent, file, mode, AtFlags::empty())
    }

    /// Devices of Linux mean nothing elsewhere.
    #[cfg(not(target_os = "linux"))]
    fn node(
        &self,
        _: &Entry<'_, impl Read>,
        _: &OwnedFd,
        _: &std::ffi::CStr,
        _: Mode,
    ) -> rustix::io::Result<()> {
        Err(Errno::NOTSUP)
    }

    fn finish(&mut self) {
        for (directory, times) in self.directories.drain(..) {
            // Told as docker tells it: not at all.
            let _ = rustix::fs::futimens(&directory, &times);
        }
    }

    /// Splits a name into its parts; refuses one that leads out.
    fn parts(&self, name: &[u8]) -> Result<Vec<Vec<u8>>, ExtractError> {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        for part in name.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." if parts.pop().is_none() => {
                    return Err(ExtractError::Refused(format!(
                        "{:?} is outside of {:?}",
                        text(name),
                        self.target
                    )));
                }
                b".." => {}
                part => parts.push(part.to_vec()),
            }
        }
        Ok(parts)
    }

    /// Opens the directory of an entry; makes what is missing.
    fn parent(&self, parts: &[Vec<u8>]) -> rustix::io::Result<OwnedFd> {
        let mut directory = rustix::io::fcntl_dupfd_cloexec(&self.root, 3)?;
        for part in parts {
            directory = match open_directory(&directory, part) {
                Err(Errno::NOENT) => {
                    let mode = Mode::from_raw_mode(0o755);
                    rustix::fs::mkdirat(&directory, OsStr::from_bytes(part), mode)?;
                    open_directory(&directory, part)?
                }
                other => other?,
            };
        }
        Ok(directory)
    }

    /// Refuses a link that leads out of the target.
    fn check_link(
        &self,
        parents: &[Vec<u8>],
        name: &[u8],
        link: &[u8],
    ) -> Result<(), ExtractError> {
        let mut depth = parents.len();
        for part in link.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." if depth == 0 => return Err(self.breakout("symlink", name, link)),
                b".." => depth -= 1,
                _ => depth += 1,
            }
        }
        Ok(())
    }

    fn breakout(&self, kind: &str, name: &[u8], link: &[u8]) -> ExtractError {
        let target = self.target.trim_end_matches('/');
        let path = format!("{target}/{}", text(name));
        ExtractError::Refused(format!("invalid {kind} {path:?} -> {:?}", text(link)))
    }

    fn cannot_overwrite(&self, old: &str, parts: &[Vec<u8>], new: &str) -> ExtractError {
        let target = self.target.trim_end_matches('/');
        let path = format!("{target}/{}", text(&parts.join(&b'/')));
        ExtractError::Refused(format!("cannot overwrite {old} {path:?} with {new} {target:?}"))
    }
}

fn open_directory(parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, OsStr::from_bytes(name), flags, Mode::empty())
}

/// Extended attributes of an entry that mean something on another machine.
fn attributes(entry: &mut Entry<'_, impl Read>) -> Vec<(String, Vec<u8>)> {
    let mut attributes = Vec::new();
    let Ok(Some(records)) = entry.pax_extensions() else {
        return attributes;
    };
    for record in records.flatten() {
        let name = record.key().ok().and_then(|key| key.strip_prefix("SCHILY.xattr."));
        if let Some(name) = name
            && (name.starts_with("user.") || name == "security.capability")
        {
            attributes.push((name.to_owned(), record.value_bytes().to_vec()));
        }
    }
    attributes
}

/// Sets what the file system and the caller's rights allow.
fn set_attributes(file: impl AsFd, attributes: &[(String, Vec<u8>)]) {
    for (name, value) in attributes {
        let _ = rustix::fs::fsetxattr(&file, name.as_str(), value, XattrFlags::empty());
    }
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::pack;
    use super::*;

    fn kept() -> Rename {
        Rename { from: "x".into(), to: "x".into() }
    }

    fn archive(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        build(&mut builder);
        builder.into_inner().unwrap()
    }

    fn link(builder: &mut tar::Builder<Vec<u8>>, kind: EntryType, name: &str, target: &str) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(0o777);
        builder.append_link(&mut header, name, target).unwrap();
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        fs::create_dir_all(source.join("sub")).unwrap();
        fs::write(source.join("sub/file"), "content").unwrap();
        fs::set_permissions(source.join("sub/file"), fs::Permissions::from_mode(0o751)).unwrap();
        fs::hard_link(source.join("sub/file"), source.join("twin")).unwrap();
        std::os::unix::fs::symlink("sub/file", source.join("link")).unwrap();
        let mut bytes = Vec::new();
        pack(&source, "source", &mut bytes).unwrap();
        let target = dir.path().join("target");
        fs::create_dir(&target).unwrap();
        let rename = Rename { from: "source".into(), to: "copy".into() };
        extract(bytes.as_slice(), target.to_str().unwrap(), &rename).unwrap();
        let copy = target.join("copy");
        assert_eq!(fs::read_to_string(copy.join("link")).unwrap(), "content");
        let stat = |name: &str| fs::metadata(copy.join(name)).unwrap();
        assert_eq!(stat("sub/file").ino(), stat("twin").ino());
        assert_eq!(stat("twin").mode() & 0o777, 0o751);
        let original = fs::metadata(source.join("sub/file")).unwrap();
        assert_eq!(stat("twin").mtime(), original.mtime());
    }

    #[test]
    fn nothing_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        let target = dir.path().join("target");
        fs::create_dir(&target).unwrap();
        fs::write(&outside, "safe").unwrap();
        std::os::unix::fs::symlink("..", target.join("planted")).unwrap();
        let bad = [
            archive(|b| link(b, EntryType::Symlink, "x", "../outside")),
            archive(|b| link(b, EntryType::Link, "x", "../outside")),
            archive(|b| link(b, EntryType::Link, "x", "planted/outside")),
            archive(|b| {
                let mut header = tar::Header::new_gnu();
                header.set_size(1);
                header.set_mode(0o644);
                b.append_data(&mut header, "planted/outside", &b"!"[..]).unwrap();
            }),
            archive(|b| {
                let mut header = tar::Header::new_gnu();
                header.as_gnu_mut().unwrap().name[..10].copy_from_slice(b"../outside");
                header.set_size(0);
                header.set_mode(0o644);
                header.set_cksum();
                b.append(&header, io::empty()).unwrap();
            }),
        ];
        for (number, bytes) in bad.iter().enumerate() {
            let extracted = extract(bytes.as_slice(), target.to_str().unwrap(), &kept());
            assert!(extracted.is_err(), "{number}");
        }
        assert_eq!(fs::read_to_string(&outside).unwrap(), "safe");
        assert!(!target.join("x").exists());
    }
}
