//! What is left of a service that was killed: its namespace, by those who hold it.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Paths of a user and a network namespace.
type Paths = [PathBuf; 2];

/// Returns the namespace of the door of `home` whose pid is in `file`, if it lives.
pub(super) fn door(home: &Path, file: &Path) -> Option<Paths> {
    let pid: u32 = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    let directory = PathBuf::from(format!("/proc/{pid}"));
    let command_line = fs::read(directory.join("cmdline")).ok()?;
    let mut words = command_line.split(|byte| *byte == 0).skip(1);
    let is_door = words.next() == Some(b"network-door")
        && words.next() == Some(home.as_os_str().as_encoded_bytes());
    is_door.then(|| ["user", "net"].map(|kind| directory.join("ns").join(kind)))
}

/// Returns the namespaces that supervisors of `home` hold, as every member does. They are looked for
/// when they are asked for.
pub(super) fn members(home: &Path) -> impl Iterator<Item = Paths> {
    let mut home = home.as_os_str().as_bytes().to_vec();
    home.push(b'/');
    let all = std::iter::once_with(|| fs::read_dir("/proc").into_iter().flatten().flatten());
    all.flatten().filter_map(move |process| {
        let command_line = fs::read(process.path().join("cmdline")).ok()?;
        let mut words = command_line.split(|byte| *byte == 0).skip(1);
        let is_supervisor = words.next() == Some(b"supervisor");
        if !is_supervisor || !words.any(|word| word.starts_with(&home)) {
            return None;
        }
        let found = ["user:[", "net:["].map(|kind| descriptor(&process.path(), kind));
        let [Some(user), Some(net)] = found else { return None };
        Some([user, net])
    })
}

/// Returns the path of a descriptor of the process `directory` (proc(5)) whose file has a name that
/// begins with `kind`.
fn descriptor(directory: &Path, kind: &str) -> Option<PathBuf> {
    let descriptors = fs::read_dir(directory.join("fd")).ok()?;
    let mut paths = descriptors.flatten().map(|descriptor| descriptor.path());
    paths.find(|path| {
        fs::read_link(path)
            .is_ok_and(|target| target.as_os_str().as_bytes().starts_with(kind.as_bytes()))
    })
}
