//! Nothing that a fork does reaches its template or another fork.

use std::fs;
use std::process::Command;
use std::time::Duration;

use hull_tests::{Home, Image, Registry, eventually};

const NO_POOL: &str = "[pool]\nsize = 0\n";

/// Returns a digest of the template's files, their sizes, modes and times. Holes are skipped: its
/// disk is one almost throughout.
fn digest(home: &Home, template: &str) -> String {
    let mut command = Command::new("sh");
    command.current_dir(home.path().join("templates").join(template));
    command.args(["-c", "tar -cSf - memory state scratch.ext4 rehearsal.erofs | sha256sum"]);
    hull_tests::run(&mut command, Duration::from_secs(60)).success()
}

/// Fails if the process can write to anything in `templates`: by a descriptor or a mapping.
fn assert_read_only(pid: u32) {
    let mut mapped = false;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("maps");
    for line in maps.lines().filter(|line| line.contains("/templates/")) {
        mapped = true;
        let permissions = line.split(' ').nth(1).expect("permissions");
        assert!(permissions.ends_with('p') || !permissions.contains('w'), "{line}");
    }
    assert!(mapped, "its memory is not the template's:\n{maps}");
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors").flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        if !target.to_string_lossy().contains("/templates/") {
            continue;
        }
        let number = entry.file_name().to_string_lossy().into_owned();
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).expect("fdinfo");
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags");
        // O_ACCMODE
        let access = u32::from_str_radix(flags.trim(), 8).expect("octal") & 3;
        assert_eq!(access, 0, "{}: {info}", target.display());
    }
}

#[test]
fn a_fork_that_overwrites_its_memory_and_disk_changes_nothing_else() {
    let registry = Registry::with_images(&[Image::Python]);
    let home = Home::configured(NO_POOL);
    home.pull(&registry, &[Image::Python]);
    let image = registry.name(&Image::Python);
    let sleeper = |name: &str| {
        let run = ["run", "-d", "--name", name, "-m", "256m", "--network", "none"];
        home.hull(&[&run[..], &[&image, "sleep", "1000"]].concat()).success();
        let (mode, template) = home.origin(name);
        assert_eq!(mode, "fork", "{template}");
        template
    };
    let template = sleeper("bystander");
    let before = digest(&home, &template);
    sleeper("vandal");
    for name in ["bystander", "vandal"] {
        assert_read_only(home.machine_pid(name));
    }
    home.hull(&["exec", "bystander", "sh", "-c", "echo mine > /dev/shm/mine"]).success();

    let script = "x = bytearray(b'\\xa5') * (230 << 20); print(len(x) >> 20)";
    assert_eq!(home.hull(&["exec", "vandal", "python3", "-c", script]).success(), "230");
    let script = "cat /usr/bin/* > /garbage; rm -rf /etc /usr/share; sync; echo done";
    assert_eq!(home.hull(&["exec", "vandal", "sh", "-c", script]).success(), "done");
    // More than there is: the guest's kernel ends it, and neither template nor neighbour notices.
    let script = "x = [bytearray(b'\\x5a') * (10 << 20) for _ in range(40)]";
    assert_eq!(home.hull(&["exec", "vandal", "python3", "-c", script]).code, 137);

    assert_eq!(digest(&home, &template), before);
    let script = "cat /dev/shm/mine; ls /garbage 2>/dev/null; head -n 1 /etc/passwd";
    let seen = home.hull(&["exec", "bystander", "sh", "-c", script]).text();
    assert_eq!(seen, "mine\nroot:x:0:0:root:/root:/bin/bash");

    assert_eq!(sleeper("later"), template);
    let script = "ls /dev/shm /garbage 2>/dev/null | wc -w; ls -d /etc /usr/share; ls /proc | \
                  grep -c '^[0-9]*$'";
    let seen = home.hull(&["exec", "later", "sh", "-c", script]).success();
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(&lines[1..3], ["/etc", "/usr/share"], "{seen}");
    home.hull(&["kill", "vandal"]).success();
    eventually("the vandal ends", || home.pids("-name hull-").len() == 2);
    assert_eq!(digest(&home, &template), before);
    home.hull(&["rm", "-f", "bystander", "vandal", "later"]).success();
}
