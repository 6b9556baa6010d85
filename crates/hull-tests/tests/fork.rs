//! `hull fork`: containers that go on where a running one is.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use hull_tests::{Home, Image, Pty, Registry, eventually};

/// Counts, into its output and into a file that stays open; all that it says but the count was
/// found out before the loop, except for the working directory and the environment.
const COUNTER: &str = r#"
trap exit TERM
echo begin >> /begins
exec 5>/count 6<>/gone
rm /gone
echo secret >&6
echo warm > /fast/file
cd /etc
( while :; do echo >> /dev/shm/background; sleep 0.1; done ) &
n=0
while :; do n=$((n+1)); echo "$n $PWD $KEY"; echo $n >&5; sleep 0.05; done
"#;

/// Starts the counter and waits until it counts.
#[track_caller]
fn start_counter(home: &Home, image: &str, name: &str) -> String {
    let flags = ["--network", "none", "--tmpfs", "/fast", "-e", "KEY=value", "-w", "/tmp"];
    let run = [&["run", "-d", "--name", name], &flags[..], &[image, "sh", "-c", COUNTER]].concat();
    let id = home.hull(&run).success();
    eventually("it counts", || numbers(home, name).len() > 5);
    id
}

/// Returns what the counter `name` has counted in its log, in the order of the lines.
#[track_caller]
fn numbers(home: &Home, name: &str) -> Vec<u32> {
    let log = home.hull(&["logs", name]).success();
    let number = |line: &str| {
        let number = line.strip_suffix(" /etc value").and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("not the counter's: {line:?}"))
    };
    log.lines().map(number).collect()
}

#[track_caller]
fn assert_no_gap(numbers: &[u32]) {
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
}

/// Runs a script in a container.
#[track_caller]
fn sh(home: &Home, container: &str, script: &str) -> String {
    home.hull(&["exec", container, "sh", "-c", script]).success()
}

/// Forks `source` and returns the ids of its children.
#[track_caller]
fn fork(home: &Home, flags: &[&str], source: &str) -> Vec<String> {
    let ids = home.hull(&[&["fork"], flags, &[source]].concat()).success();
    let ids: Vec<_> = ids.lines().map(str::to_owned).collect();
    let is_id = |id: &String| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(ids.iter().all(is_id), "{ids:?}");
    ids
}

#[track_caller]
fn field(home: &Home, container: &str, template: &str) -> String {
    home.hull(&["inspect", "-f", template, container]).success()
}

#[track_caller]
fn assert_counts(home: &Home, name: &str) {
    let before = numbers(home, name).len();
    eventually("it goes on", || numbers(home, name).len() > before);
}

#[test]
fn children_have_all_that_the_source_had_and_go_their_own_way() {
    let (_registry, home, image) = Home::with_busybox();
    let source = start_counter(&home, &image, "source");
    let before = *numbers(&home, "source").last().expect("it counts");
    let ids = fork(&home, &["-n", "5", "--name", "child"], "source");
    let names = ["child-1", "child-2", "child-3", "child-4", "child-5"];
    let after = *numbers(&home, "source").last().expect("it counts");
    assert_eq!(ids.len(), 5);
    for (name, id) in names.iter().zip(&ids) {
        assert_eq!(field(&home, name, "{{.Id}} {{.State.Status}}"), format!("{id} running"));
        assert_eq!(home.origin(name).0, "fork");
        let reason = field(&home, name, "{{.Hull.Start.Reason}}");
        assert_eq!(reason, format!("fork of container {source}"));
    }
    go_on(&home, &names, before, after);
    have_an_identity(&home, &names, &ids);
    diverge(&home, &names);
    obey(&home);

    // Of the source, there is nothing to be seen of it.
    assert_no_gap(&numbers(&home, "source"));
    assert_counts(&home, "source");
    assert_eq!(sh(&home, "source", "cat /begins; wc -l < /count > /dev/null"), "begin");
    eventually("no copy stands still", || home.pids("-name hull-fork").is_empty());
    assert!(home.files("tmp/engine").is_empty(), "{:?}", home.files("tmp/engine"));
    let all = [&["rm", "-f", "source"], &names[1..]].concat();
    home.hull(&all).success();
    assert!(home.files("containers").is_empty(), "{:?}", home.files("containers"));
}

/// Memory, files, processes: all of it goes on from one moment between `before` and `after`.
#[track_caller]
fn go_on(home: &Home, names: &[&str], before: u32, after: u32) {
    let mut first = HashSet::new();
    for name in names {
        assert_counts(home, name);
        let log = numbers(home, name);
        assert_no_gap(&log);
        assert!(before < log[0] && log[0] <= after + 1, "{before} {after} {log:?}");
        first.insert(log[0]);
        let file = sh(home, name, "cat /count");
        let file: Vec<u32> = file.lines().map(|line| line.parse().expect("a number")).collect();
        assert_eq!(file[0], 1);
        assert_no_gap(&file);
        assert!(file.last() >= log.last(), "{file:?} {log:?}");
        let script = "cat /begins /fast/file /proc/1/fd/6; echo $KEY; ls /gone 2>&1";
        let found = "begin\nwarm\nsecret\nvalue\nls: /gone: No such file or directory";
        assert_eq!(home.hull(&["exec", name, "sh", "-c", script]).text(), found);
        let script = "a=$(wc -l < /dev/shm/background); sleep 0.5; b=$(wc -l < /dev/shm/background); \
                      test $b -gt $a && test $a -gt 3 && echo lives";
        assert_eq!(sh(home, name, script), "lives");
    }
    assert_eq!(first.len(), 1, "of one moment: {first:?}");
}

/// Names, random numbers, clock.
#[track_caller]
fn have_an_identity(home: &Home, names: &[&str], ids: &[String]) {
    let mut seen = HashSet::new();
    let ids = ids.iter().map(|id| &id[..12]);
    for (name, id) in names.iter().copied().zip(ids).chain([("source", "")]) {
        let script = "hostname; cat /etc/hostname; date +%s; cd /proc/sys/kernel/random; \
                      cat boot_id uuid; head -c 16 /dev/urandom | md5sum; grep $(hostname) /etc/hosts";
        let before = now();
        let said = home.hull(&["exec", name, "sh", "-c", script]).text();
        let after = now();
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines[0], lines[1]);
        assert!(id.is_empty() || lines[0] == id, "{id}: {said}");
        let time: u64 = lines[2].parse().expect("a time");
        assert!(before <= time + 1 && time <= after + 1, "{before} {time} {after}");
        for line in &lines[3..6] {
            assert!(seen.insert((*line).to_owned()), "twice: {line}");
        }
        assert_eq!(lines.len(), 6, "no host name to look up without a network: {said}");
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// What one of them writes, no other sees.
#[track_caller]
fn diverge(home: &Home, names: &[&str]) {
    let all = [names, &["source"]].concat();
    for name in &all {
        sh(
            home,
            name,
            &format!("echo {name} | tee /mine /fast/mine /dev/shm/{name} > /fast/{name}"),
        );
    }
    for name in &all {
        let script = "cat /mine /fast/mine; ls /fast; ls /dev/shm";
        let found = format!("{name}\n{name}\nfile\nmine\n{name}\nbackground\n{name}");
        let mut lines: Vec<_> = found.lines().collect();
        // `ls` sorts.
        lines[2..5].sort_unstable();
        lines[5..].sort_unstable();
        assert_eq!(sh(home, name, script), lines.join("\n"));
    }
}

/// Children are containers as any.
#[track_caller]
fn obey(home: &Home) {
    let top = home.hull(&["top", "child-1"]).success();
    // Loop and background process; what they execute comes and goes.
    assert!(top.matches("echo begin >> /begins").count() >= 2, "{top}");
    home.hull(&["pause", "child-1"]).success();
    let paused = numbers(home, "child-1").len();
    let refused = home.hull(&["fork", "--name", "nobody", "child-1"]);
    assert_eq!(refused.code, 1);
    let why = "is paused, unpause it first";
    assert!(refused.errors().contains(why), "{}", refused.errors());
    assert!(numbers(home, "child-1").len() <= paused + 1);
    home.hull(&["unpause", "child-1"]).success();
    assert_counts(home, "child-1");

    // A fresh start, with its own disk; its memory is gone.
    home.hull(&["restart", "-t", "0", "child-2"]).success();
    eventually("it has begun again", || sh(home, "child-2", "wc -l < /begins") == "2");
    assert_eq!(sh(home, "child-2", "cat /mine; hostname"), {
        let id = field(home, "child-2", "{{.Id}}");
        format!("child-2\n{}", &id[..12])
    });
    let log = numbers(home, "child-2");
    let again = log.iter().position(|number| *number == 1).expect("from the beginning");
    assert_no_gap(&log[..again]);
    assert_no_gap(&log[again..]);

    // Its disk is where those of containers that start again are, and nobody can tell.
    let grandchild = fork(home, &["--name", "grandchild"], "child-2").remove(0);
    assert_counts(home, "grandchild");
    assert_eq!(sh(home, "grandchild", "cat /mine; wc -l < /begins; hostname"), {
        format!("child-2\n2\n{}", &grandchild[..12])
    });
    sh(home, "grandchild", "echo grandchild > /mine");
    assert_eq!(sh(home, "child-2", "cat /mine"), "child-2");
    home.hull(&["restart", "-t", "0", "grandchild"]).success();
    eventually("its own disk", || {
        sh(home, "grandchild", "cat /mine; wc -l < /begins") == "grandchild\n3"
    });

    // A fork of a fork, and a name that is made up.
    let made = fork(home, &[], "child-3").remove(0);
    assert_counts(home, &made);
    assert_ne!(field(home, &made, "{{.Name}}"), "");
    assert_eq!(sh(home, &made, "cat /mine; wc -l < /begins"), "child-3\n1");
    assert_no_gap(&numbers(home, &made));

    home.hull(&["stop", "-t", "0", "child-5"]).success();
    home.hull(&["kill", "child-4"]).success();
    eventually("it has been killed", || {
        field(home, "child-4", "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"
    });
    home.hull(&["rm", "-f", "grandchild", "child-1", &made]).success();
    let left = home.hull(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]).success();
    let left: HashSet<_> = left.lines().collect();
    let found = [
        "source running",
        "child-2 running",
        "child-3 running",
        "child-4 exited",
        "child-5 exited",
    ];
    assert_eq!(left, HashSet::from(found));
}

#[test]
fn terminals_input_and_limits_are_the_childs_own() {
    let (_registry, home, image) = Home::with_busybox();
    let run = |flags: &[&str], command: &[&str]| {
        home.hull(&[&["run", "-d", "--network", "none"], flags, &[&image], command].concat())
            .success()
    };
    run(&["-it", "--name", "shell"], &["sh"]);
    let mut pty = Pty::start(&home.command(&["attach", "shell"]), 80, 24);
    pty.send("memory=kept\r");
    pty.send("echo is-$memory\r");
    pty.expect("is-kept");
    fork(&home, &["--name", "twin"], "shell");
    let mut other = Pty::start(&home.command(&["attach", "twin"]), 91, 33);
    other.send("echo twin-$memory; stty size\r");
    other.expect("twin-kept");
    other.expect("33 91");
    other.send("exit 7\r");
    assert_eq!(other.wait(), 7, "{}", other.screen());
    pty.send("echo still-$memory; stty size\r");
    pty.expect("still-kept");
    assert!(pty.expect("24 80").matches("twin").next().is_none());
    pty.send("exit 8\r");
    assert_eq!(pty.wait(), 8, "{}", pty.screen());
    let log = home.hull(&["logs", "twin"]).text();
    assert!(log.contains("twin-kept") && !log.contains("is-kept"), "{log}");

    let script = "while read line; do n=$((n+1)); echo $n $line; done; echo end";
    run(&["-i", "--name", "reader", "-m", "128m"], &["sh", "-c", script]);
    let mut source = Pty::start(&home.command(&["attach", "reader"]), 80, 24);
    source.send("one\n");
    source.expect("1 one");
    fork(&home, &["-n", "2", "--name", "fork"], "reader");
    source.send("two\n");
    source.expect("2 two");
    for name in ["fork-1", "fork-2"] {
        let mut attached = Pty::start(&home.command(&["attach", name]), 80, 24);
        attached.send(&format!("{name}\n"));
        attached.expect(&format!("2 {name}"));
        drop(attached);
        assert_eq!(home.hull(&["logs", name]).success(), format!("2 {name}"));
        assert_eq!(sh(&home, name, "cat /sys/fs/cgroup/memory.max"), "134217728");
    }
    assert_eq!(home.hull(&["logs", "reader"]).success(), "1 one\n2 two");
    home.hull(&["rm", "-f", "shell", "twin", "reader", "fork-1", "fork-2"]).success();
}

/// Keeps a connection over loopback, one over another address of the same machine, and says how
/// they are.
const CONNECTIONS: &str = r#"
import fcntl, socket, struct, time

control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
address = struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton("10.9.9.1"))
fcntl.ioctl(control, 0x8916, address)

def connect(family, address):
    server = socket.socket(family)
    server.bind((address, 0))
    server.listen()
    client = socket.socket(family)
    client.settimeout(5)
    client.connect(server.getsockname())
    return server, client, server.accept()[0]

def lives(pair):
    _, client, accepted = pair
    try:
        client.sendall(b"ping")
        return "lives" if accepted.recv(4) == b"ping" else "ended"
    except ConnectionError as error:
        return type(error).__name__

def accepts(pair):
    server, _, _ = pair
    client = socket.create_connection(server.getsockname(), 5)
    server.accept()
    return "accepts" if client.getpeername() == server.getsockname() else "?"

near = connect(socket.AF_INET, "127.0.0.1")
far = connect(socket.AF_INET, "10.9.9.1")
blocks = [bytes([index % 256]) * 4096 for index in range(5000)]
while True:
    same = all(block[0] == index % 256 for index, block in enumerate(blocks))
    print("near", lives(near), "far", lives(far), accepts(far), same, flush=True)
    time.sleep(0.1)
"#;

#[test]
fn connections_with_other_machines_stay_with_the_source() {
    let registry = Registry::with_images(&[Image::Python]);
    let home = Home::with_images(&registry, &[Image::Python]);
    let image = registry.name(&Image::Python);
    let run = ["run", "-d", "--name", "source", "--network", "none", "--privileged", &image];
    home.hull(&[&run[..], &["python3", "-c", CONNECTIONS]].concat()).success();
    let said = |name: &str| -> HashSet<String> {
        home.hull(&["logs", name]).text().lines().map(str::to_owned).collect()
    };
    let lives = HashSet::from(["near lives far lives accepts True".to_owned()]);
    eventually("connections live", || said("source") == lives);
    fork(&home, &["-n", "2", "--name", "child"], "source");
    for name in ["child-1", "child-2"] {
        eventually("it says how they are", || !said(name).is_empty());
        let mut said = said(name);
        // First the reset, then what comes of using a connection that was reset.
        let reset = ["ConnectionResetError", "ConnectionAbortedError", "BrokenPipeError"];
        for error in reset {
            said.remove(&format!("near lives far {error} accepts True"));
        }
        assert!(said.is_empty(), "{said:?}");
    }
    let before = home.hull(&["logs", "source"]).text().len();
    eventually("the source goes on", || home.hull(&["logs", "source"]).text().len() > before);
    assert_eq!(said("source"), lives);
    home.hull(&["rm", "-f", "source", "child-1", "child-2"]).success();
}

/// Forks with `arguments` and returns what was said against it; nothing may be left of it.
#[track_caller]
fn refused(home: &Home, arguments: &[&str]) -> String {
    let before = home.hull(&["ps", "-aq", "--no-trunc"]).success();
    let output = home.hull(&[&["fork"], arguments].concat());
    assert_eq!((output.code, output.text()), (1, String::new()), "{}", output.errors());
    assert_eq!(home.hull(&["ps", "-aq", "--no-trunc"]).success(), before);
    assert_eq!(home.files("containers").len(), before.lines().count());
    eventually("no copy stands still", || home.pids("-name hull-fork").is_empty());
    assert!(home.files("tmp/engine").is_empty(), "{:?}", home.files("tmp/engine"));
    output.errors()
}

#[test]
fn what_cannot_be_forked_is_refused_and_leaves_nothing() {
    let (_registry, home, image) = Home::with_busybox();
    start_counter(&home, &image, "source");
    let create = ["create", "--name", "child-3", "--network", "none", &image, "true"];
    home.hull(&create).success();
    let check = |arguments: &[&str], why: &str| {
        let errors = refused(&home, arguments);
        assert!(errors.contains(why), "{arguments:?}: {errors}");
        assert_eq!(errors.lines().filter(|line| !line.starts_with("hint:")).count(), 1, "{errors}");
    };
    check(&["nobody"], "No such container: nobody");
    check(&["child-3"], "is not running");
    check(&["-n", "0", "source"], "into 0 containers: 1 to 1000 are possible");
    check(&["-n", "-1", "source"], "-1");
    check(&["-n", "1001", "source"], "into 1001 containers");
    check(&["--name", "source", "source"], "The container name \"/source\" is already in use");
    check(&["--name", "child", "-n", "4", "source"], "name \"/child-3\" is already in use");
    check(&["--name", "a b", "source"], "Invalid container name (a b)");
    let usage = home.hull(&["fork"]);
    assert_eq!(usage.code, 1);
    assert!(usage.errors().contains("'hull fork' requires 1 argument"), "{}", usage.errors());
    assert_eq!(home.hull(&["fork", "-n", "many", "source"]).code, 125);
    assert_no_gap(&numbers(&home, "source"));
    // A command of Hull's own like any other.
    fork(&home, &["--count", "2", "--name", "kid"], "source");
    assert_counts(&home, "kid-2");
    home.hull(&["rm", "-f", "source", "child-3", "kid-1", "kid-2"]).success();
}

#[test]
fn a_machine_that_was_booted_is_not_forked() {
    let (_registry, home, image) = Home::configured_with_busybox("[templates]\nenabled = false\n");
    start_counter(&home, &image, "source");
    let errors = refused(&home, &["source"]);
    let why =
        "the machine of this container booted and cannot be copied: templates are switched off";
    assert!(errors.contains(why), "{errors}");
    assert!(errors.contains("hint: restart the container"), "{errors}");
    assert_no_gap(&numbers(&home, "source"));
    assert_counts(&home, "source");
    home.hull(&["rm", "-f", "source"]).success();
}
