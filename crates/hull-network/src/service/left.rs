//! What is left of a service that was killed: its namespace, by those who hold it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::holder::{Holder, notes};
use crate::protocol::Files;

/// Paths of a user and a network namespace.
type Paths = [PathBuf; 2];

/// Returns the namespace of the door of `home` whose pid is in `file`, if it lives.
pub(super) fn door(home: &Path, file: &Path) -> Option<Paths> {
    let directory = process(fs::read_to_string(file).ok()?.trim().parse().ok()?)?;
    let command_line = fs::read(directory.join("cmdline")).ok()?;
    let mut words = command_line.split(|byte| *byte == 0).skip(1);
    let is_door = words.next() == Some(b"network-door")
        && words.next() == Some(home.as_os_str().as_encoded_bytes());
    is_door.then(|| ["user", "net"].map(|kind| directory.join("ns").join(kind)))
}

/// Returns the namespaces that members say they hold. What members have left that were killed goes.
pub(super) fn members(files: &Files) -> impl Iterator<Item = Paths> {
    notes(&files.holders()).filter_map(|(note, holder)| {
        let paths = held(&holder);
        if paths.is_none() {
            let _ = fs::remove_file(note);
        }
        paths
    })
}

fn held(holder: &Holder) -> Option<Paths> {
    let directory = process(holder.pid)?.join("fd");
    let paths = holder.descriptors.map(|number| directory.join(number.to_string()));
    let is_it = |(path, name): (&PathBuf, String)| {
        fs::read_link(path).is_ok_and(|target| target.as_os_str() == name.as_str())
    };
    let [user, net] = holder.inodes;
    let names = [format!("user:[{user}]"), format!("net:[{net}]")];
    paths.iter().zip(names).all(is_it).then_some(paths)
}

/// Returns the directory in proc(5) of a process of this user. Another user's could lead anywhere.
fn process(pid: u32) -> Option<PathBuf> {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    let owner = fs::metadata(&directory).ok()?.uid();
    (owner == rustix::process::geteuid().as_raw()).then_some(directory)
}
