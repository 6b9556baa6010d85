//! Shell scripts that are run under docker and under Hull, and must print the same.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use crate::command::{Output, run};
use crate::{Docker, Home, Image, skip};

const LIMIT: Duration = Duration::from_secs(300);

/// Runs a script by bash in an empty directory; in it, `engine` is what `engine` runs.
#[track_caller]
pub fn script(engine: &Command, text: &str) -> Output {
    let dir = tempfile::Builder::new().prefix("hull-script-").tempdir().expect("a temp dir");
    let mut wrapper = "#!/bin/sh\n".to_owned();
    for (name, value) in engine.get_envs() {
        let name = name.to_string_lossy();
        match value {
            Some(value) => {
                wrapper.push_str(&format!("export {name}='{}'\n", value.to_string_lossy()));
            }
            None => wrapper.push_str(&format!("unset {name}\n")),
        }
    }
    wrapper.push_str(&format!("exec {} \"$@\"\n", engine.get_program().to_string_lossy()));
    let path = dir.path().join("engine");
    fs::write(&path, wrapper).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
    let work = dir.path().join("work");
    fs::create_dir(&work).expect("a directory");
    let search = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap_or_default());
    let mut bash = Command::new("bash");
    bash.args(["-c", text]).current_dir(work).env("PATH", search).env("LC_ALL", "C");
    run(&mut bash, LIMIT)
}

/// Runs a script, whose `$IMAGE` is busybox, under both as [`same_as_docker`] does; skipped where there
/// is no docker.
#[track_caller]
pub fn busybox_same_as_docker(text: &str) {
    let docker = match Docker::start() {
        Ok(docker) => docker,
        Err(reason) => return skip(&format!("no docker to compare with: {reason}")),
    };
    let (registry, home, image) = Home::with_busybox();
    docker.pull(&registry, &[Image::Busybox]);
    same_as_docker(&docker, &home, &format!("IMAGE={image}\n{text}"));
}

/// Runs a script under both and fails with the lines that differ.
#[track_caller]
pub fn same_as_docker(docker: &Docker, home: &Home, text: &str) {
    let expected = script(&docker.command(&[]), text).text();
    let actual = script(&home.command(&[]), text).text();
    assert!(!expected.is_empty(), "a script that prints nothing tests nothing");
    if expected == actual {
        return;
    }
    let dir = tempfile::Builder::new().prefix("hull-diff-").tempdir().expect("a temp dir");
    fs::write(dir.path().join("docker"), expected + "\n").expect("a file");
    fs::write(dir.path().join("hull"), actual + "\n").expect("a file");
    let mut diff = Command::new("diff");
    diff.args(["-U2", "docker", "hull"]).current_dir(dir.path());
    let difference: String = run(&mut diff, LIMIT).text().chars().take(8000).collect();
    panic!("{difference}");
}
