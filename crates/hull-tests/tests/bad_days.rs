//! Bad days of templates: damaged, half written, made by another QEMU, builders killed.

use std::fs::{self, File, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use hull_tests::{
    Home, SmallDisk, eventually, eventually_none, kill, kill_daemon_during, run, skip,
};

const NO_POOL: &str = "[pool]\nsize = 0\n";
const QEMU: &str = "/usr/bin/qemu-system-x86_64";

/// A file of a template, and what happens to it.
type Damage = (&'static str, fn(&Path));

/// Runs a container and returns the mode of its start, and the template or the reason.
#[track_caller]
fn start(home: &Home, image: &str) -> (String, String) {
    let run = ["run", "--name", "box", "--network", "none", image, "echo", "hello"];
    let output = home.hull(&run);
    assert_eq!(output.success(), "hello", "{}", output.errors());
    let origin = home.origin("box");
    home.hull(&["rm", "box"]).success();
    origin
}

#[track_caller]
fn start_forks(home: &Home, image: &str) -> String {
    let (mode, template) = start(home, image);
    assert_eq!(mode, "fork", "{template}");
    template
}

/// Fails if anything is left of attempts: half templates, directories of machines, processes.
#[track_caller]
fn assert_clean(home: &Home) {
    eventually("all processes but the daemon end", || home.processes().len() <= 1);
    let half = |name: &String| name.ends_with(".new") || name.ends_with(".old");
    let templates = home.files("templates");
    assert!(!templates.iter().any(half), "{templates:?}");
    assert!(home.files("pool").is_empty(), "{:?}", home.files("pool"));
    eventually("nothing is under way", || home.files("tmp/engine").is_empty());
}

/// Opens a file that is read-only by its mode, to write.
fn overwrite(path: &Path) -> File {
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("chmod");
    File::options().write(true).open(path).expect("the template's file")
}

fn scribble(path: &Path) {
    let mut file = overwrite(path);
    file.seek(SeekFrom::Start(4096)).expect("seek");
    file.write_all(&[0x5a; 1 << 16]).expect("write");
}

fn truncate(path: &Path) {
    overwrite(path).set_len(5000).expect("truncate");
}

fn delete(path: &Path) {
    fs::remove_file(path).expect("remove");
}

/// Does each of the damages to the template and checks that the next start takes a new one.
fn damage_and_start(damages: &[Damage]) {
    let (_registry, home, image) = Home::configured_with_busybox(NO_POOL);
    let template = start_forks(&home, &image);
    let dir = home.path().join("templates").join(&template);
    for (name, damage) in damages {
        damage(&dir.join(name));
        let states = ["system", "template", "ls", "--format", "{{.State}}"];
        assert_eq!(home.hull(&states).success(), "damaged", "{name}");
        assert_eq!(start_forks(&home, &image), template, "{name}");
        assert_eq!(home.hull(&states).success(), "ready", "{name}");
    }
    assert_clean(&home);
}

#[test]
fn a_template_with_another_memory_is_built_again() {
    damage_and_start(&[("memory", scribble), ("memory", truncate), ("memory", delete)]);
}

#[test]
fn a_template_with_another_state_or_disk_is_built_again() {
    damage_and_start(&[
        ("state", scribble),
        ("state", delete),
        ("scratch.ext4", scribble),
        ("scratch.ext4", delete),
    ]);
}

#[test]
fn a_template_without_a_description_is_built_again() {
    damage_and_start(&[("template.json", truncate), ("template.json", delete)]);
}

#[test]
fn what_stands_where_a_template_should_be_is_in_nobodys_way() {
    let (_registry, home, image) = Home::configured_with_busybox(NO_POOL);
    let template = start_forks(&home, &image);
    let dir = home.path().join("templates").join(&template);
    fs::remove_dir_all(&dir).expect("remove");
    fs::create_dir(&dir).expect("a directory");
    assert_eq!(start_forks(&home, &image), template);
    assert_clean(&home);
}

/// What is not checked at every start: a pool's machine is made from a template with it.
#[test]
fn a_damaged_rehearsal_costs_the_pool_and_not_the_start() {
    let (_registry, home, image) = Home::configured_with_busybox("");
    let template = home.hull(&["system", "template", "build"]).success();
    let path = home.path().join("templates").join(&template).join("rehearsal.erofs");
    truncate(&path);
    for _ in 0..3 {
        let (mode, why) = start(&home, &image);
        assert_ne!(mode, "cold", "{why}");
    }
    home.hull(&["system", "stop"]).success();
    assert_clean(&home);
    delete(&path);
    let (mode, why) = start(&home, &image);
    assert_ne!(mode, "cold", "{why}");
    home.hull(&["system", "stop"]).success();
    assert_clean(&home);
}

#[test]
fn a_template_is_deleted_and_rebuilt_under_running_forks() {
    let (_registry, home, image) = Home::configured_with_busybox(NO_POOL);
    let run = ["run", "-d", "--name", "old", "--network", "none", &image, "sleep", "1000"];
    home.hull(&run).success();
    let (mode, template) = home.origin("old");
    assert_eq!(mode, "fork", "{template}");
    home.hull(&["system", "template", "rm", &template]).success();
    // Touches memory and disk that it has not touched before.
    let script = "cat /bin/busybox > /copy; cmp /bin/busybox /copy && head -c 9m /dev/zero | wc -c";
    let exec = ["exec", "old", "sh", "-c", script];
    assert_eq!(home.hull(&exec).success(), "9437184");
    assert_eq!(start_forks(&home, &image), template);
    assert_eq!(home.hull(&exec).success(), "9437184");
    home.hull(&["restart", "-t", "0", "old"]).success();
    assert_eq!(home.hull(&exec).success(), "9437184");
    home.hull(&["rm", "-f", "old"]).success();
    assert_clean(&home);
}

#[test]
fn a_template_is_truncated_under_a_running_fork() {
    let (_registry, home, image) = Home::configured_with_busybox(NO_POOL);
    let run = ["run", "-d", "--name", "old", "--network", "none", &image, "sleep", "1000"];
    home.hull(&run).success();
    let (_, template) = home.origin("old");
    truncate(&home.path().join("templates").join(&template).join("memory"));
    // Nothing can be promised to the fork but an end that is seen.
    assert_eq!(start_forks(&home, &image), template);
    let alive = home.hull(&["exec", "old", "true"]).code == 0;
    let state = ["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "old"];
    if !alive {
        eventually("its end is recorded", || home.hull(&state).success() == "exited 137");
        home.hull(&["start", "old"]).success();
        assert_eq!(home.hull(&["exec", "old", "echo", "again"]).success(), "again");
    }
    home.hull(&["rm", "-f", "old"]).success();
    assert_clean(&home);
}

#[test]
fn a_disk_that_fills_up_costs_the_template_and_not_the_start() {
    let home = Home::configured("");
    let disk = match SmallDisk::mount(home.path(), 30) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    fs::write(home.path().join("config.toml"), NO_POOL).expect("config.toml");
    let registry = hull_tests::Registry::with_images(&[hull_tests::Image::Busybox]);
    home.pull(&registry, &[hull_tests::Image::Busybox]);
    let image = registry.name(&hull_tests::Image::Busybox);
    for _ in 0..2 {
        let (mode, reason) = start(&home, &image);
        assert_eq!(mode, "cold", "{reason}");
        assert_clean(&home);
    }
    disk.resize(2000);
    start_forks(&home, &image);
    assert_clean(&home);
    home.hull(&["system", "stop"]).success();
}

#[test]
fn memory_that_the_host_refuses_is_an_error_and_leaves_nothing() {
    let (_registry, home, image) = Home::configured_with_busybox("[pool]\nsize = 0\n");
    home.hull(&["system", "stop"]).success();
    // The daemon that it starts has no more, and none of what that starts has.
    let inner = home.command(&["run", "--rm", "--network", "none", &image, "true"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -v 700000; exec \"$@\"", "sh"]);
    limited.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let output = run(&mut limited, Duration::from_secs(120));
    let errors = output.errors();
    assert_eq!(output.code, 125, "{errors}");
    assert!(errors.contains("Cannot allocate memory"), "{errors}");
    assert_eq!(home.hull(&["ps", "-aq"]).success(), "");
    assert!(home.files("containers").is_empty());
    home.hull(&["system", "stop"]).success();
    eventually_none("a process is left", || home.processes());
    home.hull(&["run", "--rm", "--network", "none", &image, "true"]).success();
    home.hull(&["system", "stop"]).success();
}

#[test]
fn a_daemon_is_killed_in_every_phase_of_a_start() {
    let (_registry, home, image) = Home::configured_with_busybox(NO_POOL);
    start_forks(&home, &image);
    for delay in (30..=600).step_by(95) {
        let run = ["run", "--rm", "--network", "none", &image, "sleep", "0.2"];
        kill_daemon_during(&home, &run, delay);
        home.hull(&["ps", "-a"]).success();
    }
    eventually("no container is left", || home.hull(&["ps", "-aq"]).success().is_empty());
    assert_clean(&home);
    start_forks(&home, &image);
}

#[test]
fn builders_of_templates_are_killed() {
    let (_registry, home, image) = Home::configured_with_busybox(NO_POOL);
    let template = start_forks(&home, &image);
    for (delay, victim) in
        [(100, "supervisor"), (600, "supervisor"), (300, "qemu-system"), (400, "daemon")]
    {
        home.hull(&["system", "template", "rm", &template]).success();
        let mut run =
            home.command(&["run", "--name", "victim", "--network", "none", &image, "true"]);
        let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("hull");
        eventually("the template is being built", || {
            home.files("templates").iter().any(|name| name.ends_with(".new"))
        });
        sleep(Duration::from_millis(delay));
        home.pids(victim).into_iter().for_each(kill);
        let _ = run.wait();
        home.hull(&["rm", "-f", "victim"]).success();
        assert_eq!(start_forks(&home, &image), template, "{victim} after {delay} ms");
        assert_clean(&home);
    }
}

/// Copies of QEMU that stand in for it, one after the other, as far as a daemon and what it starts
/// can see: in a mount namespace of their own.
struct Upgrade {
    copies: [PathBuf; 2],
}

impl Upgrade {
    fn prepare(dir: &Path) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("replacing QEMU in a mount namespace needs root".into());
        }
        if !Path::new(QEMU).is_file() {
            return Err(format!("QEMU is not at {QEMU}"));
        }
        let copies = ["first", "second"].map(|name| dir.join(name));
        for copy in &copies {
            fs::copy(QEMU, copy).map_err(|error| error.to_string())?;
        }
        Ok(Self { copies })
    }

    /// Starts the daemon of `home` with the first copy.
    fn start_daemon(&self, home: &Home) {
        let hull = home.command(&["ps"]);
        let script = "mount --bind \"$1\" \"$2\" && exec \"$3\" ps";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, "sh"]);
        command.arg(&self.copies[0]).arg(QEMU).arg(hull.get_program());
        command.env("HULL_HOME", home.path());
        hull_tests::run(&mut command, Duration::from_secs(60)).success();
    }

    /// Puts the second copy in the place of the first.
    fn replace(&self, home: &Home) {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &home.daemon_pid().to_string()]);
        command.args(["mount", "--bind"]).arg(&self.copies[1]).arg(QEMU);
        hull_tests::run(&mut command, Duration::from_secs(60)).success();
    }
}

#[test]
fn qemu_is_replaced_between_build_and_fork() {
    let (_registry, home, image) = Home::with_busybox();
    let dir = tempfile::tempdir().expect("a temp dir");
    let upgrade = match Upgrade::prepare(dir.path()) {
        Ok(upgrade) => upgrade,
        Err(reason) => return skip(&reason),
    };
    home.hull(&["system", "stop"]).success();
    upgrade.start_daemon(&home);
    let (mode, first) = start(&home, &image);
    assert_ne!(mode, "cold", "{first}");
    let run = ["run", "-d", "--name", "old", "--network", "none", &image, "sleep", "1000"];
    home.hull(&run).success();
    upgrade.replace(&home);
    // Neither the old template nor a machine of the pool that the old QEMU made.
    let (mode, second) = start(&home, &image);
    assert_ne!(mode, "cold", "{second}");
    assert_ne!(first, second);
    assert_eq!(home.hull(&["exec", "old", "echo", "hello"]).success(), "hello");
    home.hull(&["restart", "-t", "0", "old"]).success();
    assert_eq!(home.origin("old").1, second);
    home.hull(&["rm", "-f", "old"]).success();
    let pruned = home.hull(&["system", "template", "prune"]).success();
    assert!(pruned.contains(&first) && !pruned.contains(&second), "{pruned}");
}
