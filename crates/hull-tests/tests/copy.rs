//! `hull cp`, `diff` and `export`, beside docker and on their own.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use hull_tests::{Home, Image, Registry, busybox_same_as_docker, eventually, kill};

#[test]
fn copies_in_are_as_under_docker() {
    busybox_same_as_docker(include_str!("scripts/copy-in.sh"));
}

#[test]
fn copies_out_are_as_under_docker() {
    busybox_same_as_docker(include_str!("scripts/copy-out.sh"));
}

#[test]
fn archives_are_as_under_docker() {
    busybox_same_as_docker(include_str!("scripts/copy-archives.sh"));
}

#[test]
fn a_container_that_does_not_run_has_a_machine_for_a_moment() {
    let (_registry, home, image) = Home::with_busybox();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "from outside\n").unwrap();
    let file = file.to_str().unwrap();
    home.hull(&["create", "--network", "none", "--name", "box", &image, "cat", "/file"]).success();
    let id = home.hull(&["inspect", "-f", "{{.Id}}", "box"]).success();
    let visit = format!("containers/{id}/visit");

    home.hull(&["cp", file, "box:/file"]).success();
    assert_eq!(home.hull(&["inspect", "-f", "{{.State.Status}}", "box"]).text(), "created");
    assert_ne!(home.files(&visit), [""; 0], "no machine was there");
    eventually("the machine goes", || home.files(&visit).is_empty());
    // It ended by itself, and what was copied is there.
    assert_eq!(home.hull(&["start", "-a", "box"]).text(), "from outside");

    // A start does not wait until the machine of a copy goes by itself.
    home.hull(&["cp", file, "box:/other"]).success();
    assert_eq!(home.hull(&["start", "-a", "box"]).text(), "from outside");
    assert_eq!(home.hull(&["diff", "box"]).text(), "A /file\nA /other");
    // Nor does a removal, and it leaves nothing.
    home.hull(&["rm", "box"]).success();
    assert!(home.pids("qemu").len() <= 2, "more than the pool's: {:?}", home.processes());
}

#[test]
fn many_copy_at_once_and_a_start_comes_between() {
    let (_registry, home, image) = Home::with_busybox();
    let dir = tempfile::tempdir().unwrap();
    let command =
        ["create", "--network", "none", "--name", "box", &image, "sh", "-c", "ls /c | wc -l"];
    home.hull(&command).success();
    fs::create_dir(dir.path().join("c")).unwrap();
    home.hull(&["cp", dir.path().join("c").to_str().unwrap(), "box:/"]).success();
    thread::scope(|scope| {
        for number in 0..6 {
            let (home, path) = (&home, dir.path().join(number.to_string()));
            scope.spawn(move || {
                fs::write(&path, vec![b'x'; 300_000]).unwrap();
                home.hull(&["cp", path.to_str().unwrap(), &format!("box:/c/{number}")]).success();
                assert_eq!(
                    home.hull(&["cp", &format!("box:/c/{number}"), "-"]).success().len() / 100_000,
                    3
                );
            });
        }
        scope.spawn(|| home.hull(&["start", "-a", "box"]).success());
    });
    assert_eq!(home.hull(&["start", "-a", "box"]).text(), "6");
}

#[test]
fn a_daemon_that_dies_in_a_copy_leaves_a_container_that_starts() {
    let (_registry, home, image) = Home::with_busybox();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "kept\n").unwrap();
    home.hull(&["create", "--network", "none", "--name", "box", &image, "cat", "/file"]).success();
    home.hull(&["cp", file.to_str().unwrap(), "box:/file"]).success();
    // An archive that does not end.
    let mut copy = home.command(&["cp", "-", "box:/tmp"]);
    let mut copy = copy.stdin(std::process::Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(500));
    kill(home.daemon_pid());
    copy.kill().unwrap();
    copy.wait().unwrap();
    let begun = Instant::now();
    assert_eq!(home.hull(&["start", "-a", "box"]).text(), "kept");
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(home.hull(&["diff", "box"]).text(), "A /file");
}

#[test]
fn a_volume_has_what_is_copied_into_it() {
    let registry = Registry::with_images(&[Image::Redis]);
    let home = Home::with_images(&registry, &[Image::Redis]);
    let image = registry.name(&Image::Redis);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "in a volume\n").unwrap();
    let file = file.to_str().unwrap();
    let command =
        ["--network", "none", "--name", "box", "--entrypoint", "cat", &image, "/data/file"];
    home.hull(&[&["create"], &command[..]].concat()).success();
    home.hull(&["cp", file, "box:/data"]).success();
    assert_eq!(home.hull(&["start", "-a", "box"]).text(), "in a volume");
    assert_eq!(home.hull(&["cp", "box:/data/file", "-"]).stdout.len(), 2048);
    assert_eq!(home.hull(&["diff", "box"]).text(), "A /data");
    // With -a all belongs to the container's user.
    home.hull(&["cp", "-a", file, "box:/data/owned"]).success();
    let archive = home.hull(&["cp", "box:/data/owned", "-"]).stdout;
    assert_ne!(&archive[108..115], b"0000000", "owner");
}
