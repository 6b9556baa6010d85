//! `run`, `exec` and their like against a fake daemon: what is asked, printed and returned.

use crate::fake::{Answer, Fake};
use insta::assert_snapshot;

const OUTPUT: &[u8] = b"\x01\0\0\0\0\0\0\x04out\n\x02\0\0\0\0\0\0\x04err\n";

fn daemon() -> Fake {
    Fake::new(|request, body| match request {
        "POST /containers/create?" if body.contains("missing") => {
            Answer::Json(404, r#"{"message":"No such image: missing:latest"}"#)
        }
        r if r.starts_with("POST /containers/create?") => {
            Answer::Json(201, r#"{"Id":"c0ffee","Warnings":["slow"]}"#)
        }
        r if r.starts_with("POST /containers/c0ffee/attach?") => Answer::Echo(OUTPUT),
        r if r.starts_with("POST /containers/c0ffee/wait?") => {
            Answer::Json(200, r#"{"StatusCode":7}"#)
        }
        "POST /containers/c0ffee/start?timings=1" => Answer::WithHeader(
            204,
            r#"Hull-Timings: [{"Phase":"boot","Begin":1000,"Duration":500000}]"#,
            "",
        ),
        "POST /containers/c0ffee/start" => Answer::Json(204, ""),
        r if r.starts_with("POST /images/create?") => Answer::Json(
            200,
            concat!(
                r#"{"status":"Pulling from library/missing","id":"latest"}"#,
                "\r\n",
                r#"{"errorDetail":{"message":"gone"},"error":"gone"}"#,
                "\r\n"
            ),
        ),
        "POST /containers/c0ffee/exec" => Answer::Json(201, r#"{"Id":"e1"}"#),
        "POST /exec/e1/start" => Answer::Echo(OUTPUT),
        "GET /exec/e1/json" => Answer::Json(200, r#"{"ExitCode":126}"#),
        _ => Answer::Json(404, r#"{"message":"page not found","hint":"look elsewhere"}"#),
    })
}

#[test]
fn run_prints_what_the_container_prints() {
    let daemon = daemon();
    assert_snapshot!(daemon.hull(&["run", "--rm", "img", "echo", "-n"]).shown(), @r"
    out
    --- stderr
    WARNING: slow
    err
    --- exit code 7
    ");
    assert_snapshot!(daemon.asked(), @r#"
    POST /containers/c0ffee/attach?stream=1&stdin=0&stdout=1&stderr=1
    POST /containers/c0ffee/start
    POST /containers/c0ffee/wait?condition=removed
    POST /containers/create? {"Image":"img","AttachStdout":true,"AttachStderr":true,"Cmd":["echo","-n"],"HostConfig":{"NetworkMode":"default","AutoRemove":true}}
    "#);
}

#[test]
fn run_sends_its_input_and_the_end_of_it() {
    let daemon = daemon();
    let ran = daemon.hull_with_input(&["run", "-i", "-a", "stdin", "-a", "stdout", "img"], b"in\n");
    assert_snapshot!(ran.shown(), @r"
    out
    in
    --- stderr
    WARNING: slow
    err
    --- exit code 7
    ");
    assert_snapshot!(daemon.asked(), @r#"
    POST /containers/c0ffee/attach?stream=1&stdin=1&stdout=1&stderr=0
    POST /containers/c0ffee/start
    POST /containers/c0ffee/wait?condition=next-exit
    POST /containers/create? {"Image":"img","AttachStdin":true,"AttachStdout":true,"OpenStdin":true,"StdinOnce":true,"HostConfig":{"NetworkMode":"default"}}
    "#);
}

#[test]
fn run_sends_every_option() {
    let daemon = daemon();
    let ran = daemon.hull(&[
        "run",
        "-d",
        "--name",
        "n",
        "--platform",
        "linux/amd64",
        "-e",
        "A=1",
        "-e",
        "UNSET",
        "-w",
        "/w",
        "-u",
        "1:2",
        "--entrypoint",
        "",
        "--read-only",
        "--tmpfs",
        "/t:size=1m",
        "-h",
        "box",
        "--domainname",
        "d",
        "-l",
        "k=v",
        "-m",
        "64m",
        "--cpus",
        "1.5",
        "--pids-limit",
        "9",
        "--ulimit",
        "nofile=1:2",
        "--cap-add",
        "ALL",
        "--cap-drop",
        "CHOWN",
        "--privileged",
        "--init",
        "--stop-signal",
        "INT",
        "--stop-timeout",
        "0",
        "--sysctl",
        "net.a=1",
        "--shm-size",
        "1g",
        "--kernel",
        "/k",
        "--isolation",
        "vm",
        "--network",
        "none",
        "-t",
        "--timings",
        "img:1",
    ]);
    assert_snapshot!(ran.shown(), @r"
    c0ffee
    --- stderr
    WARNING: slow
    PHASE                         BEGIN (ms)   TOOK (ms)
    boot                                 1.0       500.0
    total                                          501.0
    --- exit code 0
    ");
    assert_snapshot!(daemon.asked(), @r#"
    POST /containers/c0ffee/start?timings=1
    POST /containers/create?name=n&platform=linux/amd64 {"Image":"img:1","Hostname":"box","Domainname":"d","User":"1:2","Tty":true,"Env":["A=1","UNSET"],"WorkingDir":"/w","Labels":{"k":"v"},"StopSignal":"INT","Entrypoint":[""],"StopTimeout":0,"HostConfig":{"Memory":67108864,"NanoCpus":1500000000,"PidsLimit":9,"NetworkMode":"none","CapAdd":["ALL"],"CapDrop":["CAP_CHOWN"],"Isolation":"vm","Kernel":"/k","Privileged":true,"ReadonlyRootfs":true,"ShmSize":1073741824,"Sysctls":{"net.a":"1"},"Tmpfs":{"/t":"size=1m"},"Ulimits":[{"Name":"nofile","Hard":2,"Soft":1}],"Init":true}}
    "#);
}

#[test]
fn run_pulls_what_is_missing() {
    let daemon = daemon();
    assert_snapshot!(daemon.hull(&["run", "missing"]).shown(), @r"
    --- stderr
    Unable to find image 'missing:latest' locally
    latest: Pulling from library/missing
    hull: gone

    Run 'hull run --help' for more information
    --- exit code 125
    ");
    assert_snapshot!(daemon.hull(&["run", "--pull", "never", "missing"]).shown(), @r"
    --- stderr
    hull: Error response from daemon: No such image: missing:latest

    Run 'hull run --help' for more information
    --- exit code 125
    ");
}

#[test]
fn run_refuses_before_it_asks() {
    let daemon = daemon();
    let refused = |arguments: &[&str]| daemon.hull(arguments).shown();
    assert_snapshot!(refused(&["run", "-it", "img"]), @r"
    --- stderr
    the input device is not a TTY
    --- exit code 1
    ");
    assert_snapshot!(refused(&["run", "-d", "-a", "stdout", "img"]), @r"
    --- stderr
    conflicting options: cannot specify both --attach and --detach
    --- exit code 1
    ");
    assert_snapshot!(refused(&["run", "--env-file", "/nonexistent", "img"]), @r"
    --- stderr
    hull: open /nonexistent: no such file or directory

    Run 'hull run --help' for more information
    --- exit code 125
    ");
    assert_snapshot!(refused(&["run", "--no-such-flag", "img"]), @r"
    --- stderr
    unknown flag: --no-such-flag

    Usage:  hull run [OPTIONS] IMAGE [COMMAND] [ARG...]

    Run 'hull run --help' for more information
    --- exit code 125
    ");
    assert_eq!(daemon.asked(), "");
}

#[test]
fn exec_ends_with_the_exit_code() {
    let daemon = daemon();
    let ran = daemon.hull_with_input(&["exec", "-i", "-u", "me", "c0ffee", "cat", "-A"], b"in\n");
    assert_snapshot!(ran.shown(), @r"
    out
    in
    --- stderr
    err
    --- exit code 126
    ");
    assert_snapshot!(daemon.asked(), @r#"
    GET /exec/e1/json
    POST /containers/c0ffee/exec {"Cmd":["cat","-A"],"Env":[],"User":"me","WorkingDir":"","Tty":false,"Privileged":false,"AttachStdin":true,"AttachStdout":true,"AttachStderr":true,"DetachKeys":""}
    POST /exec/e1/start {"Detach":false,"Tty":false,"ConsoleSize":null}
    "#);
}

#[test]
fn start_names_what_failed() {
    let daemon = daemon();
    assert_snapshot!(daemon.hull(&["start", "nosuch", "c0ffee"]).shown(), @r"
    c0ffee
    --- stderr
    Error response from daemon: page not found
    hint: look elsewhere
    Error: failed to start containers: nosuch
    --- exit code 1
    ");
}
