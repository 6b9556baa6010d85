//! Command lines on named containers, one after another, under docker and under Hull.

use hull_tests::{Docker, Home, Image, Registry, skip};

/// `{image}` stands for busybox.
#[rustfmt::skip]
const STEPS: &[&[&str]] = &[
    &["run", "-d", "--name", "box", "--network", "none", "-h", "box", "-e", "A=b", "{image}", "sleep", "1000"],
    &["ps", "--format", "{{.Names}} {{.Image}} {{.Command}} {{.State}} {{.Ports}}"],
    &["exec", "box", "echo", "hello"],
    &["exec", "box", "sh", "-c", "echo out; echo err >&2; exit 9"],
    &["exec", "-e", "B=c", "-w", "/tmp", "-u", "www", "box", "sh", "-c", "id; pwd; echo $A $B $HOME"],
    &["exec", "-u", "nosuch", "box", "true"],
    &["exec", "box", "nosuchprogram"],
    &["exec", "box", "/etc/passwd"],
    &["exec", "-w", "/nosuch", "box", "pwd"],
    &["exec", "-d", "box", "touch", "/tmp/detached"],
    &["exec", "box", "ls", "/tmp"],
    &["exec", "box", "ps", "-o", "args"],
    &["exec", "nosuchcontainer", "true"],
    &["exec", "box"],
    &["rm", "box"],
    &["run", "--name", "box", "--network", "none", "{image}", "true"],
    &["start", "box"],
    &["stop", "-t", "1", "box"],
    &["inspect", "-f", "{{.State.Status}} {{.State.Running}} {{.State.ExitCode}} {{.State.OOMKilled}} {{.State.Error}}", "box"],
    &["inspect", "-f", "{{.Path}} {{.Args}} {{.Name}} {{.Config.Hostname}} {{json .Config.Env}} {{.Config.Cmd}} {{.RestartCount}}", "box"],
    &["inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.NetworkMode}} {{.HostConfig.AutoRemove}} {{.Config.Tty}} {{.Config.User}}", "box"],
    &["exec", "box", "true"],
    &["kill", "box"],
    &["stop", "box"],
    &["wait", "box"],
    &["start", "box"],
    &["exec", "box", "ls", "/tmp"],
    &["kill", "-s", "TERM", "box"],
    &["kill", "-s", "NOSUCH", "box"],
    &["kill", "box"],
    &["wait", "box"],
    &["ps", "-a", "--filter", "name=box", "--filter", "status=exited", "--format", "{{.Names}}"],
    &["ps", "-q", "--filter", "nosuch=1"],
    &["logs", "box"],
    &["rm", "box", "nosuchcontainer"],
    &["inspect", "box"],
    &["create", "--name", "talk", "--network", "none", "{image}", "sh", "-c", "echo one; sleep 0.3; echo two >&2; exit 3"],
    &["start", "talk"],
    &["wait", "talk"],
    &["logs", "talk"],
    &["logs", "--tail", "1", "talk"],
    &["start", "-a", "talk"],
    &["logs", "nosuchcontainer"],
    &["inspect", "-f", "{{.State.ExitCode}} {{.Config.AttachStdout}}", "talk"],
    &["inspect", "-f", "{{.Nope}}", "talk"],
    &["inspect", "-f", "{{", "talk"],
    &["ps", "-a", "--format", "{{.Names}}: {{.Command}}"],
    &["ps", "-a", "--no-trunc", "--format", "{{.Command}}"],
    &["ps", "-a", "--filter", "exited=3", "--format", "{{.Names}}"],
    &["rm", "talk"],
    &["create", "--name", "bad", "--network", "none", "{image}", "nosuchprogram"],
    &["start", "bad"],
    &["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "bad"],
    &["rm", "-f", "bad"],
    &["rm", "-f", "nosuchcontainer"],
    &["wait", "nosuchcontainer"],
    &["stop", "nosuchcontainer"],
    &["start", "nosuchcontainer"],
    &["kill", "nosuchcontainer"],
    &["run", "-d", "--rm", "--name", "brief", "--network", "none", "{image}", "true"],
    &["run", "--network", "none", "--name", "label", "-l", "a=b", "-l", "c", "{image}", "true"],
    &["ps", "-a", "--filter", "label=a=b", "--format", "{{.Names}} {{.Labels}}"],
    &["rm", "label"],
    &["images", "nosuchimage"],
    &["image", "inspect", "nosuchimage"],
    &["rmi", "nosuchimage"],
    &["inspect", "nosuchthing"],
    &["nosuchcommand"],
    &["ps", "--nosuchflag"],
    &["rm"],
    &["run"],
];

#[test]
fn command_lines_do_what_docker_does() {
    let docker = match Docker::start() {
        Ok(docker) => docker,
        Err(reason) => return skip(&format!("no docker to compare with: {reason}")),
    };
    let registry = Registry::with_images(&[Image::Busybox]);
    let home = Home::with_images(&registry, &[Image::Busybox]);
    docker.pull(&registry, &[Image::Busybox]);
    let image = registry.name(&Image::Busybox);
    let words = docker.words_are_current();
    let mut differences = Vec::new();
    for step in STEPS {
        let arguments: Vec<String> =
            step.iter().map(|argument| argument.replace("{image}", &image)).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let expected = docker.docker(&arguments);
        let actual = home.hull(&arguments);
        let texts = [&expected.stdout, &expected.stderr, &actual.stdout, &actual.stderr]
            .map(|bytes| normal(&String::from_utf8_lossy(bytes)));
        if expected.code != actual.code || texts[0] != texts[2] || (words && texts[1] != texts[3]) {
            differences.push(format!(
                "{step:?}\n  docker {}: {:?} {:?}\n  hull   {}: {:?} {:?}",
                expected.code, texts[0], texts[1], actual.code, texts[2], texts[3]
            ));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {} steps differ:\n\n{}",
        differences.len(),
        STEPS.len(),
        differences.join("\n\n")
    );
}

/// Removes what two engines may say differently: names of programs, ids, hints.
fn normal(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with("hint: ") || line.trim().is_empty() {
            continue;
        }
        let mut line = line.replace("hull", "docker").replace("Hull", "Docker");
        if let Some((_, cause)) = line.split_once("unable to start container process: ") {
            line = cause.trim_end_matches(": unknown").to_owned();
        }
        // Debian's engine has the words of 2020, Hull those of current ones.
        for (old, new) in WORDS {
            line = line.replace(old, new);
        }
        lines.push(without_ids(&line));
    }
    lines.join("\n")
}

const WORDS: [(&str, &str); 7] = [
    ("Container ", "container "),
    ("Cannot kill", "cannot kill"),
    ("cannot kill container: box: invalid signal", "invalid signal"),
    ("Invalid signal", "invalid signal"),
    ("Invalid filter", "invalid filter"),
    ("no such image: nosuchimage: ", ""),
    (
        "cannot remove container \"box\": container is running: stop the container before removing \
         or force remove",
        "You cannot remove a running container ID. Stop the container before attempting removal or \
         force remove",
    ),
];

/// Replaces every run of 12 or 64 hexadecimal digits.
fn without_ids(line: &str) -> String {
    let mut text = String::new();
    let mut digits = String::new();
    for character in line.chars().chain(['\n']) {
        if character.is_ascii_hexdigit() {
            digits.push(character);
            continue;
        }
        text.push_str(if matches!(digits.len(), 12 | 64) { "ID" } else { &digits });
        digits.clear();
        text.push(character);
    }
    text.pop();
    text
}
