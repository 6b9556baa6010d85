//! Bind mounts, volumes and temporary file systems, as containers see them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::Command;

use hull_tests::{Home, Image, Registry, eventually};

const RUN: [&str; 4] = ["run", "--rm", "--network", "none"];

/// Runs a script in a container with `flags`.
fn sh(home: &Home, image: &str, flags: &[&str], script: &str) -> hull_tests::Output {
    home.hull(&[&RUN[..], flags, &[image, "sh", "-c", script]].concat())
}

#[test]
fn a_bind_mount_is_the_hosts_directory() {
    let (_registry, home, image) = Home::with_busybox();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("old"), "old\n").unwrap();
    fs::set_permissions(path("old"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("old", path("link")).unwrap();
    symlink("/etc/hull-secret", path("out")).unwrap();
    let many = tempfile::tempdir().unwrap();
    for number in 0..1500 {
        fs::write(many.path().join(format!("f{number}")), "").unwrap();
    }
    let mount = format!("{}:/many", many.path().display());
    let script = "ulimit -n; ls -l /many | wc -l";
    let count = sh(&home, &image, &["--ulimit", "nofile=64", "-v", &mount], script).success();
    assert_eq!(count, "64\n1501");
    let mount = format!("{}:/m", dir.path().display());
    let script = "cd /m; cat old link; stat -c %a old; readlink out; cat out 2>&1; \
        echo new > new; chown 12:34 new; chmod 4751 new; ln new hard; ln -s new soft; mkdir -p a/b; \
        mv a/b a/c; echo x >> old; mkfifo fifo; \
        exec 5> gone; rm gone; echo kept >&5; readlink /proc/self/fd/5 | grep -c deleted; \
        mknod disk b 8 0 2>&1; dd if=/dev/zero of=large bs=64k count=40 2>/dev/null; \
        wc -c < large; ls | wc -l; grep -c hull-share /proc/mounts || true";
    let output = sh(&home, &image, &["-v", &mount], script).success();
    assert_eq!(
        output,
        "old\nold\n640\n/etc/hull-secret\ncat: can't open 'out': No such file or directory\n1\n\
         mknod: disk: Operation not permitted\n2621440\n9\n0"
    );
    assert_eq!(fs::read_to_string(path("old")).unwrap(), "old\nx\n");
    let new = fs::metadata(path("hard")).unwrap();
    assert_eq!((new.mode() & 0o7777, new.nlink()), (0o4751, 2));
    if rustix::process::geteuid().is_root() {
        assert_eq!((new.uid(), new.gid()), (12, 34));
    }
    assert!(path("a/c").is_dir() && !path("gone").exists());
    assert_eq!(fs::read_link(path("soft")).unwrap().to_str(), Some("new"));
}

#[test]
fn both_sides_see_changes() {
    let (_registry, home, image) = Home::with_busybox();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "0").unwrap();
    let mounts = [format!("{}:/m", dir.path().display()), format!("{}:/f:ro", file.display())];
    home.hull(&[
        "run", "-d", "--name", "box", "-v", &mounts[0], "-v", &mounts[1], &image, "sleep", "1000",
    ])
    .success();
    let exec = |script: &str| home.hull(&["exec", "box", "sh", "-c", script]);
    for round in ["11", "2", "333"] {
        fs::write(&file, round).unwrap();
        // Word of a change on the host is under way for a moment.
        eventually("the host's change is seen", || {
            exec("cat /m/file /f; ls /m").text() == format!("{round}{round}file")
        });
        exec(&format!("echo {round} > /m/answer")).success();
        let answer = dir.path().join("answer");
        assert_eq!(fs::read_to_string(&answer).unwrap(), format!("{round}\n"));
        fs::remove_file(&answer).unwrap();
        eventually("the host's removal is seen", || exec("cat /m/answer").code == 1);
    }
    let denied = exec("echo x > /f");
    assert_eq!((denied.code, denied.errors().contains("Read-only file system")), (1, true));
    home.hull(&["rm", "-f", "box"]).success();
}

#[test]
fn volumes_are_filled_shared_and_kept() {
    let (_registry, home, image) = Home::with_busybox();
    // Filled from the image, with its owner and mode.
    let stat = "stat -c '%a %u:%g' /tmp; ls /etc | head -n 3; stat -c %a /etc/passwd";
    let plain = sh(&home, &image, &[], stat).success();
    let flags = ["-v", "temporary:/tmp", "-v", "etc:/etc"];
    assert_eq!(sh(&home, &image, &flags, stat).success(), plain);
    let nocopy =
        sh(&home, &image, &["-v", "bare:/etc:nocopy"], "ls /etc | grep -v -E 'host|resolv'");
    assert_eq!(nocopy.text(), "");

    // Used by two at once.
    for name in ["one", "two"] {
        home.hull(&["run", "-d", "--name", name, "-v", "both:/data", &image, "sleep", "1000"])
            .success();
    }
    let exec = |name: &str, script: &str| home.hull(&["exec", name, "sh", "-c", script]).text();
    for round in 0..3 {
        exec("one", &format!("echo {round} > /data/file; mkdir /data/d{round}"));
        assert_eq!(exec("two", "cat /data/file"), round.to_string());
        assert_eq!(exec("two", &format!("rmdir /data/d{round}; ls /data")), "file");
        assert_eq!(exec("one", "ls /data"), "file");
    }
    let in_use = home.hull(&["volume", "rm", "both"]);
    assert!(in_use.errors().contains("remove both: volume is in use - ["), "{}", in_use.errors());
    home.hull(&["rm", "-f", "one", "two"]).success();
    assert_eq!(sh(&home, &image, &["-v", "both:/x:ro"], "cat /x/file").success(), "2");
    let everything = home.hull(&["volume", "ls", "-q"]).success();
    assert_eq!(everything, "bare\nboth\netc\ntemporary");
    assert_eq!(home.hull(&["volume", "rm", "bare", "both", "etc"]).success(), "bare\nboth\netc");
    let pruned = home.hull(&["volume", "prune", "-f", "--filter", "all=0"]).success();
    assert!(pruned.starts_with("Total reclaimed space: "), "{pruned}");
    let pruned = home.hull(&["volume", "prune", "-f"]).success();
    assert!(pruned.starts_with("Deleted Volumes:\ntemporary\n\nTotal "), "{pruned}");
}

#[test]
fn anonymous_volumes_have_the_life_of_their_container() {
    let (_registry, home, image) = Home::with_busybox();
    let names = || home.hull(&["volume", "ls", "-q"]).success();
    sh(&home, &image, &["-v", "/data"], "echo x > /data/x").success();
    assert_eq!(names(), "");
    home.hull(&["run", "--name", "box", "-v", "/data", &image, "touch", "/data/x"]).success();
    let name = names();
    assert_eq!(name.len(), 64);
    let mounts = home.hull(&["inspect", "-f", "{{(index .Mounts 0).Name}}", "box"]).success();
    assert_eq!(mounts, name);
    let flags = ["--volumes-from", "box:ro"];
    let from = sh(&home, &image, &flags, "ls /data; touch /data/y 2>&1");
    assert_eq!(from.text(), "x\ntouch: /data/y: Read-only file system");
    assert_eq!(names(), name);
    home.hull(&["rm", "box"]).success();
    assert_eq!(names(), name);
    home.hull(&["volume", "prune", "-f"]).success();
    assert_eq!(names(), "");
    home.hull(&["run", "--name", "box", "-v", "/data", &image, "true"]).success();
    home.hull(&["rm", "-v", "box"]).success();
    assert_eq!(names(), "");
}

#[test]
fn options_of_the_local_driver() {
    let (_registry, home, image) = Home::with_busybox();
    let create = |name: &str, options: &[&str]| {
        let mut command = vec!["volume", "create", name];
        command.extend(options.iter().flat_map(|option| ["-o", *option]));
        home.hull(&command)
    };
    // A tmpfs is there for as long as somebody uses it.
    let options = ["type=tmpfs", "device=tmpfs", "o=size=4m,uid=1000,mode=750"];
    assert_eq!(create("scratch", &options).success(), "scratch");
    let looks = "stat -c '%u %g %a' /v; ls -A /v; echo x > /v/x; head -c 5000000 /dev/zero > /v/big || rm /v/big";
    let expected = "1000 0 750";
    assert_eq!(sh(&home, &image, &["-v", "scratch:/v"], looks).text(), expected);
    let run = ["run", "-d", "--name", "one", "-v", "scratch:/v", &image];
    let one =
        [&run[..], &["sh", "-c", "ls -A /v; echo 1 > /v/one; touch /done; sleep 1000"]].concat();
    home.hull(&one).success();
    eventually("the first has written", || {
        home.hull(&["exec", "one", "test", "-e", "/done"]).code == 0
    });
    assert_eq!(home.hull(&["logs", "one"]).success(), "");
    assert_eq!(sh(&home, &image, &["-v", "scratch:/v"], "ls -A /v; echo 2 > /v/two").text(), "one");
    assert_eq!(home.hull(&["exec", "one", "ls", "/v"]).success(), "one\ntwo");
    hull_tests::kill(home.machine_pid("one"));
    home.hull(&["wait", "one"]).success();
    assert_eq!(sh(&home, &image, &["-v", "scratch:/v"], "ls -A /v").text(), "");
    let left = fs::read_dir(home.path().join("volumes/scratch/_data")).unwrap().count();
    assert_eq!(left, 0);

    // A directory of the host.
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("file"), "host\n").unwrap();
    let device = format!("device={}", host.path().display());
    create("bound", &["type=none", "o=bind", &device]).success();
    create("fixed", &["type=none", "o=bind,ro", &device]).success();
    let changes = "cat /v/file; echo new > /v/new 2>/dev/null; echo $?";
    assert_eq!(sh(&home, &image, &["-v", "fixed:/v"], changes).text(), "host\n1");
    assert_eq!(sh(&home, &image, &["-v", "bound:/v"], changes).text(), "host\n0");
    home.hull(&["rm", "-f", "one"]).success();
    home.hull(&["volume", "rm", "bound", "fixed", "scratch"]).success();
    assert_eq!(fs::read_to_string(host.path().join("new")).unwrap(), "new\n");

    // What cannot be had says so when it is made.
    let nfs = create("nfs", &["type=nfs", "o=addr=10.0.0.1", "device=:/x"]);
    assert_eq!(nfs.code, 1);
    assert!(nfs.errors().contains("volumes of type \"nfs\" are not supported"), "{}", nfs.errors());
    assert!(create("inodes", &["type=tmpfs", "device=tmpfs", "o=nr_inodes=1"]).code == 1);
}

#[test]
fn space_that_is_freed_goes_back_to_the_host() {
    let (_registry, home, image) = Home::with_busybox();
    home.hull(&["run", "-d", "--name", "box", "-v", "data:/v", &image, "sleep", "1000"]).success();
    let exec = |script: &str| home.hull(&["exec", "box", "sh", "-c", script]).success();
    let id = home.hull(&["inspect", "-f", "{{.Id}}", "box"]).success();
    let disk = home.path().join("containers").join(id).join("scratch.ext4");
    let volume = home.path().join("volumes/data/_data/file");
    let taken = |path: &std::path::Path| (fs::metadata(path).unwrap().blocks() * 512) >> 20;
    let before = taken(&disk);
    exec("for i in $(seq 30); do cat /bin/busybox; done > /file; cp /file /v/file; sync");
    let written = taken(&volume);
    assert!(written >= 30 && taken(&disk) >= before + written);
    exec("rm /file; : > /v/file");
    assert_eq!(taken(&volume), 0);
    hull_tests::eventually("the disk shrinks", || taken(&disk) < before + 10);
    home.hull(&["rm", "-f", "box"]).success();
}

#[test]
fn a_guest_stays_in_its_share() {
    let (_registry, home, image) = Home::with_busybox();
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("shared/sub")).unwrap();
    fs::write(dir.path().join("secret"), "secret").unwrap();
    symlink("../secret", dir.path().join("shared/up")).unwrap();
    let mount = format!("{}:/m", dir.path().join("shared").display());
    // A directory that leaves the share while the guest is in it takes the guest nowhere.
    home.hull(&[
        "run", "-d", "--name", "box", "-v", &mount, "-w", "/m/sub", &image, "sleep", "1000",
    ])
    .success();
    let exec = |script: &str| home.hull(&["exec", "box", "sh", "-c", script]);
    assert_eq!(exec("cat /m/up /m/../secret /m/sub/../../secret").code, 1);
    fs::rename(dir.path().join("shared/sub"), dir.path().join("moved")).unwrap();
    let script = "ls ..; cat ../secret; cat ../../secret";
    let moved = home.hull(&["exec", "-w", "/m", "box", "sh", "-c", script]);
    assert!(!moved.text().contains("secret"), "{}", moved.text());
    home.hull(&["rm", "-f", "box"]).success();
}

#[test]
fn databases_survive_the_death_of_their_machine() {
    let registry = Registry::with_images(&[Image::Redis]);
    let home = Home::with_images(&registry, &[Image::Redis]);
    let image = registry.name(&Image::Redis);
    let start = || {
        home.hull(&[
            "run",
            "-d",
            "-u",
            "root",
            "--name",
            "db",
            "-v",
            "data:/data",
            &image,
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--save",
            "",
        ])
        .success();
        hull_tests::eventually("the server answers", || {
            home.hull(&["exec", "db", "redis-cli", "ping"]).text() == "PONG"
        });
    };
    start();
    let script = "for i in $(seq 200); do echo \"incr counter\"; done | redis-cli | tail -n 1";
    assert_eq!(home.hull(&["exec", "db", "sh", "-c", script]).success(), "200");
    let pid = home.machine_pid("db").to_string();
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    hull_tests::eventually("the death is seen", || {
        home.hull(&["inspect", "-f", "{{.State.ExitCode}}", "db"]).text() == "137"
    });
    home.hull(&["rm", "db"]).success();
    start();
    assert_eq!(home.hull(&["exec", "db", "redis-cli", "get", "counter"]).success(), "200");
    home.hull(&["rm", "-f", "db"]).success();
}

#[test]
fn what_makes_no_sense_is_refused_in_dockers_words() {
    let (_registry, home, image) = Home::with_busybox();
    let daemon = "hull: Error response from daemon: ";
    for (flags, message) in [
        (
            &["-v", "/a:/"][..],
            "invalid volume specification: '/a:/': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
        ),
        (&["-v", "/a:/b:foo"], "invalid mode: foo"),
        (
            &["-v", "a/b:/c"],
            "create a/b: \"a/b\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path",
        ),
        (&["-v", "ab:/c", "-v", "cd:/c"], "Duplicate mount point: /c"),
        (
            &["--mount", "type=bind,src=/no/such,dst=/x"],
            "invalid mount config for type \"bind\": bind source path does not exist: /no/such",
        ),
        (&["--volumes-from", "nobody"], "No such container: nobody"),
    ] {
        let output = sh(&home, &image, flags, "true");
        assert_eq!(output.code, 125, "{flags:?}");
        let first = output.errors();
        let first = first.lines().next().unwrap_or_default();
        assert_eq!(first, format!("{daemon}{message}"), "{flags:?}");
    }
    assert_eq!(home.hull(&["volume", "ls", "-q"]).success(), "");
}
