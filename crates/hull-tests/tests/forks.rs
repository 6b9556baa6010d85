//! Containers start in forks of templates, and nobody can tell but by the time it takes.

use std::thread;

use hull_tests::{Home, Image, Registry};

const NO_POOL: &str = "[pool]\nsize = 0\n";
const NO_TEMPLATES: &str = "[templates]\nenabled = false\n";

/// Flags, a script, and what it prints.
type Case = (&'static [&'static str], &'static str, &'static str);

const CASES: [Case; 8] = [
    (&[], "nproc; id -u", "2\n0"),
    (&["-m", "64m"], "cat /sys/fs/cgroup/memory.max", "67108864"),
    (&["--cpus", "1"], "nproc; cat /sys/fs/cgroup/cpu.max", "1\n100000 100000"),
    (&["--read-only"], "touch /x 2>&1", "touch: /x: Read-only file system"),
    (&["--init"], "test $$ = 1 || echo below init", "below init"),
    (&["-t"], "test -t 0 && tty", "/dev/pts/0"),
    (&["--tmpfs", "/fast:size=1m"], "df -k /fast | tail -n 1 | awk '{print $2}'", "1024"),
    (&["-h", "box", "-u", "www", "-w", "/tmp"], "hostname; id -un; pwd", "box\nwww\n/tmp"),
];

/// Runs a case in the container `box`, which is left behind.
fn check(home: &Home, image: &str, case: Case) {
    let (flags, script, expected) = case;
    let mut arguments = vec!["run", "--name", "box", "--network", "none"];
    arguments.extend_from_slice(flags);
    arguments.extend_from_slice(&[image, "sh", "-c", script]);
    let output = home.hull(&arguments);
    let said = format!("{flags:?}: {}", output.errors());
    assert_eq!(output.text().replace('\r', ""), expected, "{said}");
}

fn remove(home: &Home) {
    home.hull(&["rm", "-f", "-v", "box"]).success();
}

#[test]
fn every_shape_is_forked() {
    let (_registry, home, image) = Home::with_busybox();
    for case in CASES {
        check(&home, &image, case);
        let (mode, template) = home.origin("box");
        assert!(mode == "fork" || mode == "pool", "{:?}: {mode}: {template}", case.0);
        assert!(home.files("templates").contains(&template), "{template}");
        remove(&home);
    }
}

#[test]
fn without_templates_machines_boot_and_do_the_same() {
    let (_registry, home, image) = Home::configured_with_busybox(NO_TEMPLATES);
    for case in CASES {
        check(&home, &image, case);
        assert_eq!(home.origin("box"), ("cold".into(), "templates are switched off".into()));
        remove(&home);
    }
    let build = home.hull(&["system", "template", "build"]);
    assert_eq!(build.code, 1);
    assert!(build.errors().contains("templates are switched off"), "{}", build.errors());
    assert!(build.errors().contains("config.toml"), "{}", build.errors());
    assert!(home.files("templates").is_empty() && home.files("pool").is_empty());
}

#[test]
fn a_restart_is_a_fork_that_finds_what_was_written() {
    let (_registry, home, image) = Home::with_busybox();
    let script = "echo run >> /runs; wc -l < /runs; mv /etc/group /moved 2>/dev/null; ls /moved";
    let run = ["run", "--name", "box", "--network", "none", &image, "sh", "-c", script];
    assert_eq!(home.hull(&run).success(), "1\n/moved");
    for count in 2..5 {
        let again = home.hull(&["start", "-a", "box"]);
        assert_eq!(again.text(), format!("{count}\n/moved"), "{}", again.errors());
        let (mode, why) = home.origin("box");
        assert!(mode == "fork" || mode == "pool", "{mode}: {why}");
    }
    remove(&home);

    let script = "cat /file 2>/dev/null; echo kept > /file; exec sleep 1000";
    let run = ["run", "-d", "--name", "box", "--network", "none", &image, "sh", "-c", script];
    home.hull(&run).success();
    // What was written last is in the guest's cache only: the end of the container saves it.
    hull_tests::eventually("the file is written", || {
        home.hull(&["exec", "box", "cat", "/file"]).text() == "kept"
    });
    home.hull(&["restart", "-t", "1", "box"]).success();
    hull_tests::eventually("the file is found", || home.hull(&["logs", "box"]).success() == "kept");
    let (mode, why) = home.origin("box");
    assert!(mode == "fork" || mode == "pool", "{mode}: {why}");
    remove(&home);
}

#[test]
fn an_anonymous_volume_lasts_over_restarts_and_goes_with_its_container() {
    let registry = Registry::with_images(&[Image::Redis]);
    let home = Home::with_images(&registry, &[Image::Redis]);
    let image = registry.name(&Image::Redis);
    let script = "echo line >> /data/file; wc -l < /data/file";
    let run = ["run", "--name", "box", "-u", "root", "--network", "none", "--entrypoint", "sh"];
    let run = [&run[..], &[&image, "-c", script]].concat();
    assert_eq!(home.hull(&run).success(), "1");
    assert_eq!(home.hull(&["start", "-a", "box"]).success(), "2");
    let (mode, why) = home.origin("box");
    assert!(mode == "fork" || mode == "pool", "{mode}: {why}");
    remove(&home);
    assert_eq!(home.hull(&run).success(), "1");
    remove(&home);
}

#[test]
fn a_new_shape_costs_one_boot_and_no_error_however_many_want_it() {
    let (_registry, home, image) = Home::configured_with_busybox(NO_POOL);
    let run = |name: &str| {
        let script = "cat /sys/fs/cgroup/memory.max";
        let run = ["run", "--name", name, "-m", "1100m", "--network", "none", &image];
        home.hull(&[&run[..], &["sh", "-c", script]].concat())
    };
    thread::scope(|scope| {
        let all: Vec<_> = ["one", "two"].map(|name| scope.spawn(move || run(name))).into();
        for one in all {
            assert_eq!(one.join().expect("no panic").success(), "1153433600");
        }
    });
    let (mode, template) = home.origin("one");
    assert_eq!(mode, "fork", "{template}");
    assert_eq!(home.origin("two"), (mode, template));
    let built = ["one", "two"].map(|name| home.state(name)["timings"]["template_built"].is_u64());
    assert!(built[0] != built[1], "one of them built it, the other waited: {built:?}");
}

#[test]
fn templates_are_built_listed_removed_and_pruned() {
    let (_registry, home, image) = Home::configured_with_busybox(NO_POOL);
    let template = |arguments: &[&str]| home.hull(&[&["system", "template"], arguments].concat());
    hull_tests::eventually("the daemon has built the usual one", || {
        template(&["ls", "--format", "{{.CPUs}} {{.State}}"]).success() == "2 ready"
    });
    let usual = template(&["build"]).success();
    assert_eq!(usual.len(), 64);
    assert_eq!(template(&["build"]).success(), usual);
    assert_eq!(template(&["ls", "-q", "--no-trunc"]).success(), usual);
    let other = template(&["build", "-m", "1100m", "--cpus", "1"]).success();
    assert_ne!(usual, other);
    let rows = template(&["ls", "--format", "{{.Key}} {{.CPUs}} {{.State}}"]).success();
    assert_eq!(rows, format!("{} 1 ready\n{} 2 ready", &other[..12], &usual[..12]));

    // A build is what a start would have made.
    let run = ["run", "--name", "box", "-m", "1100m", "--cpus", "1", "--network", "none", &image];
    home.hull(&[&run[..], &["true"]].concat()).success();
    assert_eq!(home.origin("box"), ("fork".into(), other.clone()));
    remove(&home);

    let missing = template(&["rm", "no-such-key"]);
    assert_eq!(missing.code, 1);
    assert!(missing.errors().contains("No such template: no-such-key"), "{}", missing.errors());
    assert_ne!(template(&["build", "-m", "1"]).code, 0);
    assert_eq!(template(&["rm", &other[..12]]).success(), other[..12]);
    assert_eq!(template(&["ls", "-q", "--no-trunc"]).success(), usual);
    // Of use still.
    assert_eq!(template(&["prune"]).success(), "Total reclaimed space: 0B");
    let pruned = template(&["prune", "-a"]).success();
    assert!(pruned.contains(&usual), "{pruned}");
    assert_eq!(template(&["ls", "-q"]).success(), "");

    home.hull(&["run", "--name", "box", "--network", "none", &image, "true"]).success();
    assert_eq!(home.origin("box"), ("fork".into(), usual));
    remove(&home);
}

#[test]
fn templates_used_least_recently_go_when_there_are_too_many() {
    let config = "[pool]\nsize = 0\n[templates]\nmax_size = \"70MiB\"\n";
    let (_registry, home, image) = Home::configured_with_busybox(config);
    let listed = || home.hull(&["system", "template", "ls", "-q", "--no-trunc"]).success();
    let first = home.hull(&["system", "template", "build", "-m", "1300m"]).success();
    let run = ["run", "-d", "--name", "old", "-m", "1300m", "--network", "none", &image];
    home.hull(&[&run[..], &["sleep", "1000"]].concat()).success();
    assert_eq!(home.origin("old"), ("fork".into(), first.clone()));
    let second = home.hull(&["system", "template", "build", "-m", "1200m"]).success();
    hull_tests::eventually("what is too much goes", || listed() == second);
    // It goes on without its template, and comes back with a new one.
    let script = "cat /bin/busybox > /copy && cmp /bin/busybox /copy && echo same";
    assert_eq!(home.hull(&["exec", "old", "sh", "-c", script]).success(), "same");
    home.hull(&["restart", "-t", "0", "old"]).success();
    assert_eq!(home.origin("old"), ("fork".into(), first));
    home.hull(&["rm", "-f", "old"]).success();
}
