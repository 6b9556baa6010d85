//! The same case under docker and under Hull: stdout, stderr and exit code must be equal.

use hull_tests::{Docker, Home, Image, Output, Registry, skip};

/// Arguments of one command; `{busybox}` and the other image names stand for references.
struct Case {
    arguments: &'static [&'static str],
    input: &'static [u8],
}

const fn case(arguments: &'static [&'static str]) -> Case {
    Case { arguments, input: b"" }
}

const fn fed(arguments: &'static [&'static str], input: &'static [u8]) -> Case {
    Case { arguments, input }
}

/// Options of every `run`: one container, no network, removed at the end.
const RUN: [&str; 4] = ["run", "--rm", "--network", "none"];

#[rustfmt::skip]
const RUNS: &[Case] = &[
    case(&["{busybox}", "true"]),
    case(&["{busybox}", "false"]),
    case(&["{busybox}", "sh", "-c", "exit 42"]),
    case(&["{busybox}", "sh", "-c", "kill -9 $$"]),
    case(&["{busybox}", "sh", "-c", "echo out; echo err >&2; exit 3"]),
    case(&["{busybox}", "echo", "-n", "no newline"]),
    case(&["{busybox}", "printf", "%s|", "a b", "", "c"]),
    // Environment.
    case(&["-h", "box", "{busybox}", "env"]),
    // Sorted: docker's order of several variables is not the same every time.
    case(&["-h", "box", "-e", "A=1", "-e", "B=x y", "-e", "A=2", "-e", "EMPTY=", "{busybox}", "sh", "-c", "env | sort"]),
    case(&["-h", "box", "-e", "PATH=/bin", "-e", "HOME=/h", "{busybox}", "env"]),
    case(&["-h", "box", "-e", "HULL_UNSET_NAME", "{busybox}", "env"]),
    // Users and groups.
    case(&["{busybox}", "id"]),
    case(&["-u", "www", "{busybox}", "sh", "-c", "id; echo $HOME"]),
    case(&["-u", "33", "{busybox}", "sh", "-c", "id; echo $HOME"]),
    case(&["-u", "33:44", "{busybox}", "id"]),
    case(&["-u", "www:extra", "{busybox}", "id"]),
    case(&["-u", "1234:5678", "{busybox}", "sh", "-c", "id -u; id -g; echo $HOME"]),
    case(&["-u", "nosuchuser", "{busybox}", "id"]),
    case(&["-u", "www:nosuchgroup", "{busybox}", "id"]),
    case(&["-u", "daemon", "{debian}", "id"]),
    // Working directories.
    case(&["-w", "/tmp", "{busybox}", "pwd"]),
    case(&["-w", "/made/for/me", "{busybox}", "sh", "-c", "pwd; stat -c '%u %g %a' ."]),
    case(&["-w", "relative", "{busybox}", "pwd"]),
    // Entry points.
    case(&["--entrypoint", "echo", "{busybox}", "a", "b"]),
    case(&["--entrypoint", "/bin/sh", "{busybox}", "-c", "echo $0 $@", "x", "y"]),
    case(&["--entrypoint", "", "{busybox}", "echo", "plain"]),
    case(&["--entrypoint", "id", "{redis}"]),
    case(&["{redis}", "--version"]),
    // Programs that cannot run.
    case(&["{busybox}", "nosuchprogram"]),
    case(&["{busybox}", "/no/such/program"]),
    case(&["{busybox}", "/etc/passwd"]),
    case(&["{busybox}", "/etc"]),
    case(&["{busybox}", "./nosuch"]),
    case(&["-e", "PATH=/nowhere", "{busybox}", "ls"]),
    // Limits, capabilities, seccomp, mounts.
    case(&["{busybox}", "grep", "-E", "^(Cap|Seccomp:|NoNewPrivs)", "/proc/self/status"]),
    case(&["--cap-drop", "ALL", "{busybox}", "grep", "^Cap", "/proc/self/status"]),
    case(&["--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "{busybox}", "grep", "^Cap", "/proc/self/status"]),
    case(&["--cap-add", "sys_time", "{busybox}", "grep", "^Cap", "/proc/self/status"]),
    case(&["--cap-add", "NOSUCH", "{busybox}", "true"]),
    case(&["-u", "www", "{busybox}", "grep", "^Cap", "/proc/self/status"]),
    case(&["{busybox}", "mount", "-t", "tmpfs", "none", "/tmp"]),
    case(&["{busybox}", "mkdir", "/sys/x"]),
    case(&["{busybox}", "sh", "-c", "echo 1 > /proc/sys/kernel/panic"]),
    case(&["{busybox}", "sh", "-c", "cat /proc/kcore | head -c 1 | wc -c; ls /proc/acpi /sys/firmware"]),
    case(&["{busybox}", "date", "-s", "2001-01-01"]),
    case(&["{debian}", "unshare", "-m", "true"]),
    case(&["--ulimit", "nofile=100:200", "{busybox}", "sh", "-c", "ulimit -n; ulimit -Hn"]),
    case(&["--ulimit", "core=0", "--ulimit", "nproc=77", "{debian}", "bash", "-c", "ulimit -c; ulimit -u"]),
    case(&["--ulimit", "nosuch=1", "{busybox}", "true"]),
    case(&["--ulimit", "nofile=20:10", "{busybox}", "true"]),
    case(&["--shm-size", "16m", "{busybox}", "df", "-k", "/dev/shm"]),
    case(&["--shm-size", "x", "{busybox}", "true"]),
    case(&["--read-only", "{busybox}", "touch", "/file"]),
    case(&["--read-only", "--tmpfs", "/scratch", "{busybox}", "sh", "-c", "touch /scratch/file && ls /scratch"]),
    case(&["--tmpfs", "/t:size=1m,mode=700", "{busybox}", "sh", "-c", "stat -c %a /t; df -k /t | tail -1 | awk '{print $2}'"]),
    case(&["--tmpfs", "/made", "--tmpfs", "/etc", "{busybox}", "stat", "-c", "%n %u %g %a", "/made", "/etc"]),
    case(&["--read-only", "{busybox}", "touch", "/etc/hosts"]),
    case(&["--tmpfs", "/t:exec", "{busybox}", "sh", "-c", "cp /bin/busybox /t/echo && /t/echo runs"]),
    case(&["--sysctl", "kernel.msgmax=4096", "{busybox}", "cat", "/proc/sys/kernel/msgmax"]),
    case(&["--sysctl", "nonsense", "{busybox}", "true"]),
    case(&["-m", "1m", "{busybox}", "true"]),
    case(&["-m", "lots", "{busybox}", "true"]),
    case(&["--pids-limit", "20", "{busybox}", "sh", "-c", "echo limited"]),
    case(&["--hostname", "name", "--domainname", "example", "{busybox}", "sh", "-c", "hostname; cat /proc/sys/kernel/domainname"]),
    case(&["-h", "box", "{busybox}", "sh", "-c", "cat /etc/hostname; cat /etc/hosts; ls -l /etc/mtab"]),
    case(&["{busybox}", "sh", "-c", "ls -a / | tr '\\n' ' '; ls /dev | tr '\\n' ' '"]),
    case(&["{busybox}", "sh", "-c", "stat -c '%n %a %u %g %F' /dev/* / /etc /proc /sys /dev/shm"]),
    case(&["{busybox}", "ps"]),
    case(&["--init", "{busybox}", "ps", "-o", "args"]),
    case(&["--init", "{busybox}", "sh", "-c", "exit 9"]),
    case(&["{busybox}", "sh", "-c", "cat /proc/sys/kernel/hostname | wc -c; umask; pwd"]),
    case(&["{busybox}", "sh", "-c", "(sleep 0.2; echo late) & echo early; wait"]),
    case(&["{busybox}", "sh", "-c", "ls /proc/self/fd | wc -l"]),
    // Real programs.
    case(&["{python}", "python3", "-c", "import os, sys; print(sys.version_info[:2], os.getpid(), os.cpu_count() > 0)"]),
    case(&["{python}", "python3", "-c", "import socket, threading, subprocess; print(subprocess.check_output(['echo', 'child']))"]),
    case(&["{debian}", "sh", "-c", "cat /etc/debian_version | cut -d. -f1; dpkg -l | wc -l"]),
    case(&["{debian}", "sh", "-c", "find /etc /usr/bin ! -type d ! -path /etc/h* ! -path /etc/resolv.conf -printf '%p %y %m %U %G %s %n %l %T@\\n' | sort"]),
    // Standard input.
    fed(&["-i", "{busybox}", "cat"], b"one\ntwo\n"),
    fed(&["-i", "{busybox}", "sh"], b"echo from stdin; exit 5\n"),
    fed(&["{busybox}", "cat"], b"not for the container\n"),
    fed(&["-i", "{busybox}", "head", "-c", "3"], b"abcdefghij"),
    fed(&["-i", "{busybox}", "sh", "-c", "exec <&-; echo closed"], b"unread"),
    fed(&["-i", "{busybox}", "wc", "-c"], &[0xff; 100_000]),
    fed(&["-i", "{busybox}", "sh", "-c", "head -c 10 > /dev/null; exit 3"], &[0; 3_000_000]),
    fed(&["-a", "stdout", "{busybox}", "sh", "-c", "echo out; echo err >&2; exit 4"], b""),
    // Flags that docker refuses.
    case(&["--nosuchflag", "{busybox}", "true"]),
    case(&["-t", "{busybox}", "tty"]),
    case(&["--name", "bad name!", "{busybox}", "true"]),
    case(&["--stop-signal", "NOSUCH", "{busybox}", "true"]),
    case(&["{busybox}:nosuchtag", "true"]),
    case(&["Upper/Case", "true"]),
];

#[test]
fn runs_are_as_under_docker() {
    let docker = match Docker::start() {
        Ok(docker) => docker,
        Err(reason) => return skip(&format!("no docker to compare with: {reason}")),
    };
    let images = [Image::Busybox, Image::Debian, Image::Python, Image::Redis];
    let registry = Registry::with_images(&images);
    let home = Home::with_images(&registry, &images);
    docker.pull(&registry, &images);
    let words = docker.words_are_current();
    let mut differences = Vec::new();
    for case in RUNS {
        let mut arguments: Vec<String> = RUN.map(str::to_owned).into();
        arguments.extend(case.arguments.iter().map(|argument| {
            images.iter().fold((*argument).to_owned(), |text, image| {
                text.replace(&format!("{{{}}}", image.name()), &registry.name(image))
            })
        }));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let expected = docker.docker_with_input(&arguments, case.input);
        let actual = home.hull_with_input(&arguments, case.input);
        if let Some(difference) = compare(&expected, &actual, words) {
            differences.push(format!("{:?}\n{difference}", case.arguments));
        }
    }
    let left = home.hull(&["ps", "-aq"]).success();
    assert_eq!(left, "", "containers are left");
    assert!(
        differences.is_empty(),
        "{} of {} cases differ:\n\n{}",
        differences.len(),
        RUNS.len(),
        differences.join("\n\n")
    );
}

/// Returns what differs in a way that a user would notice.
fn compare(docker: &Output, hull: &Output, words: bool) -> Option<String> {
    let mut lines = Vec::new();
    if docker.code != hull.code {
        lines.push(format!("  code: docker {}, hull {}", docker.code, hull.code));
    }
    if docker.stdout != hull.stdout {
        let (left, right) = (docker.text(), hull.text());
        let mut shown = 0;
        for (left, right) in left.lines().zip(right.lines()).filter(|(left, right)| left != right) {
            lines.push(format!("  out: docker {left:?}\n       hull   {right:?}"));
            shown += 1;
            if shown == 12 {
                break;
            }
        }
        if left.lines().count() != right.lines().count() {
            lines.push(format!(
                "  out: docker {} lines, hull {}",
                left.lines().count(),
                right.lines().count()
            ));
            if right.len() < 2000 && left.len() < 2000 {
                lines.push(format!("  docker: {left:?}\n  hull:   {right:?}"));
            }
        }
    }
    if words && normal(&docker.errors()) != normal(&hull.errors()) {
        lines.push(format!(
            "  err: docker {:?}\n       hull   {:?}",
            docker.errors(),
            hull.errors()
        ));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Removes from an error text what two engines may say differently: the program's own name,
/// hints, and how deep the engine's layers are.
fn normal(errors: &str) -> String {
    let mut lines = Vec::new();
    for line in errors.lines() {
        if line.starts_with("hint: ") || line.trim().is_empty() {
            continue;
        }
        let line = line.replace("hull", "docker");
        // Docker's engine versions wrap the same cause in more or fewer words.
        let line = match line.split_once("unable to start container process: ") {
            Some((_, cause)) => cause.trim_end_matches(": unknown").to_owned(),
            None => line,
        };
        lines.push(line);
    }
    lines.join("\n")
}
