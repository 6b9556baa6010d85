//! Has e2fsck check what is made, and the kernel use it where that is allowed.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

use std::fs::File;
use std::path::Path;
use std::process::Command;

use hull_ext4::{FormatError, Options, format};

const MIB: u64 = 1 << 20;

#[test]
fn e2fsck_finds_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk");
    // Around the ends of groups and flex groups, where the last group may have no room.
    let group = 128 * MIB;
    let mut sizes = vec![16 * MIB, 17 * MIB + 513, 64 * MIB, Options::SCRATCH_SIZE, 2 << 40];
    for groups in [1, 2, 16, 17, 33] {
        sizes.extend([groups * group - 4096, groups * group, groups * group + 4096]);
        sizes.extend([groups * group + 200 * 4096, groups * group + 60 * MIB]);
    }
    for size in sizes {
        for journal_size in [0, 4 * MIB] {
            let mut options = Options::new(size, *b"0123456789abcdef");
            options.journal_size = journal_size;
            options.label = "scratch".to_owned();
            format(&File::create(&path).unwrap(), &options).unwrap();
            if !check(&path) {
                return;
            }
        }
    }
}

#[test]
fn every_inode_ratio_is_clean() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk");
    for inode_ratio in [8 << 10, 9000, 16 << 10, 64 << 10, 4 << 20] {
        let mut options = Options::new(3 << 30, *b"0123456789abcdef");
        options.inode_ratio = inode_ratio;
        match format(&File::create(&path).unwrap(), &options) {
            Ok(()) if !check(&path) => return,
            Ok(()) => {}
            Err(error) => assert!(inode_ratio < 10_000, "{inode_ratio}: {error}"),
        }
    }
}

#[test]
fn what_the_file_held_is_dropped_and_little_is_written() {
    use std::os::unix::fs::MetadataExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk");
    std::fs::write(&path, vec![0xff; 8 << 20]).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    format(&file, &Options::new(Options::SCRATCH_SIZE, [7; 16])).unwrap();
    let metadata = file.metadata().unwrap();
    assert_eq!(metadata.len(), Options::SCRATCH_SIZE);
    assert!(metadata.blocks() * 512 < MIB, "{} sectors", metadata.blocks());
    check(&path);
}

#[test]
fn impossible_options_return_errors() {
    let file = tempfile::tempfile().unwrap();
    let options = Options::new(64 * MIB, [0; 16]);
    let cases: [fn(&mut Options); 6] = [
        |o| o.size = MIB,
        |o| o.size = u64::MAX,
        |o| o.label = "a label that is too long".to_owned(),
        |o| o.inode_ratio = 0,
        |o| o.journal_size = 100,
        |o| o.journal_size = 128 * MIB,
    ];
    for change in cases {
        let mut options = options.clone();
        change(&mut options);
        let result = format(&file, &options);
        assert!(matches!(result, Err(FormatError::Option(_))), "{options:?}");
    }
}

#[test]
fn kernel_uses_and_grows_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk");
    let mount = directory.path().join("mount");
    std::fs::create_dir(&mount).unwrap();
    let options = Options::new(2 << 30, *b"0123456789abcdef");
    format(&File::create(&path).unwrap(), &options).unwrap();
    let mounting = run("mount", &["-o", "loop", path.to_str().unwrap(), mount.to_str().unwrap()]);
    if let Err(reason) = mounting {
        eprintln!("skipped: no loop mounts here: {reason}");
        return;
    }
    let used = use_it(&mount);
    run("umount", &[mount.to_str().unwrap()]).unwrap();
    used.unwrap();
    check(&path);
    // Offline growth, past the descriptors' block and into further flex groups.
    File::options().write(true).open(&path).unwrap().set_len(24 << 30).unwrap();
    match run("resize2fs", &[path.to_str().unwrap()]) {
        Ok(()) => drop(check(&path)),
        Err(reason) => eprintln!("growth not tried: {reason}"),
    }
}

fn use_it(mount: &Path) -> std::io::Result<()> {
    for directory in 0..40 {
        let directory = mount.join(format!("d{directory}"));
        std::fs::create_dir(&directory)?;
        for file in 0..500 {
            std::fs::write(directory.join(format!("file-{file}")), vec![file as u8; 3000])?;
        }
    }
    std::fs::write(mount.join("large"), vec![1; 200 << 20])?;
    std::fs::remove_dir_all(mount.join("d3"))
}

/// Returns whether there is an e2fsck; panics if it finds anything.
fn check(path: &Path) -> bool {
    let output = match Command::new("e2fsck").arg("-fn").arg(path).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: e2fsck does not run: {error}");
            return false;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    true
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
