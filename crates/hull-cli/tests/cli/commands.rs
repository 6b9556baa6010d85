//! Help and errors of the command line.

use crate::fake::alone;
use insta::assert_snapshot;

#[test]
fn help_of_every_command() {
    let names = [
        "attach",
        "completion",
        "create",
        "events",
        "exec",
        "images",
        "info",
        "inspect",
        "kill",
        "load",
        "logs",
        "pause",
        "port",
        "ps",
        "pull",
        "rename",
        "restart",
        "rm",
        "rmi",
        "run",
        "start",
        "stats",
        "stop",
        "tag",
        "top",
        "unpause",
        "update",
        "version",
        "wait",
        "container",
        "image",
        "system",
        "container prune",
        "system df",
        "system doctor",
        "system kernel",
        "system kernel set",
        "system kernel show",
        "system logs",
        "system metrics",
        "system prune",
        "system service",
        "system service install",
        "system service status",
        "system service uninstall",
        "system start",
        "system status",
        "system stop",
        "system template",
        "system template build",
        "system template ls",
        "system template prune",
        "system template rm",
    ];
    let mut all = alone(&[]).shown();
    for name in names {
        let mut arguments: Vec<&str> = name.split(' ').collect();
        arguments.push("--help");
        all.push_str(&format!("\n=== hull {name} --help\n{}", alone(&arguments).shown()));
    }
    assert_snapshot!("help", all);
}

#[test]
fn usage_errors_are_dockers() {
    let shown = |arguments: &[&str]| alone(arguments).shown();
    assert_snapshot!(shown(&["ps", "--nosuch"]), @r"
    --- stderr
    unknown flag: --nosuch

    Usage:  hull ps [OPTIONS]

    Run 'hull ps --help' for more information
    --- exit code 125
    ");
    assert_snapshot!(shown(&["container", "stop", "-zt1"]), @r"
    --- stderr
    unknown shorthand flag: 'z' in -zt1

    Usage:  hull container stop [OPTIONS] CONTAINER [CONTAINER...]

    Run 'hull container stop --help' for more information
    --- exit code 125
    ");
    assert_snapshot!(shown(&["rm"]), @r"
    --- stderr
    hull: 'hull rm' requires at least 1 argument

    Usage:  hull rm [OPTIONS] CONTAINER [CONTAINER...]

    See 'hull rm --help' for more information
    --- exit code 1
    ");
    assert_snapshot!(shown(&["nosuch"]), @r"
    --- stderr
    hull: unknown command: hull nosuch

    Run 'hull --help' for more information
    --- exit code 1
    ");
    assert_snapshot!(shown(&["container", "nosuch"]), @r"
    --- stderr
    hull: unknown command: hull container nosuch

    Usage:  hull container COMMAND

    Run 'hull container --help' for more information
    --- exit code 1
    ");
    assert_snapshot!(shown(&["ps", "--filter", "x"]), @r#"
    --- stderr
    invalid argument "x" for "-f, --filter" flag: bad format of filter (expected name=value)

    Usage:  hull ps [OPTIONS]

    Run 'hull ps --help' for more information
    --- exit code 125
    "#);
}

#[test]
fn a_daemon_that_was_named_is_not_started() {
    assert_snapshot!(alone(&["ps"]).shown(), @r"
    --- stderr
    Cannot connect to the Hull daemon at unix:///nonexistent/hull.sock. Is the hull daemon running?: No such file or directory (os error 2)
    --- exit code 1
    ");
    assert_snapshot!(alone(&["-H", "tcp://127.0.0.1:1", "ps"]).shown(), @r"
    --- stderr
    unable to parse -H `tcp://127.0.0.1:1`
    hint: hull speaks to local daemons only: give unix:///path/to/socket
    --- exit code 1
    ");
}
