//! `hull run -it` on a real terminal.

use hull_tests::{Home, Pty};

#[test]
fn a_shell_has_a_terminal_with_the_right_size() {
    let (_registry, home, image) = Home::with_busybox();
    let command = home.command(&["run", "-it", "--rm", "--network", "none", &image, "sh"]);
    let mut pty = Pty::start(&command, 91, 33);
    pty.expect("# ");
    pty.send("tty; echo TERM=$TERM\r");
    pty.expect("TERM=xterm");
    pty.expect("/dev/pts/0");
    pty.send("stty size\r");
    pty.expect("33 91");
    pty.resize(100, 40);
    pty.send("sleep 1; stty size\r");
    pty.expect("40 100");
    // Raw mode: an interrupt goes to the foreground process in the container, not to hull.
    pty.send("sleep 1000\r");
    std::thread::sleep(std::time::Duration::from_millis(500));
    pty.send("\x03");
    pty.send("echo code=$?\r");
    pty.expect("code=130");
    pty.send("exit 17\r");
    assert_eq!(pty.wait(), 17, "{}", pty.screen());
}

#[test]
fn the_detach_keys_leave_the_container_running() {
    let (_registry, home, image) = Home::with_busybox();
    let command = home.command(&["run", "-it", "--name", "box", "--network", "none", &image, "sh"]);
    let mut pty = Pty::start(&command, 80, 24);
    pty.expect("# ");
    pty.send("\x10\x11");
    pty.wait();
    assert_eq!(home.hull(&["ps", "--format", "{{.Names}} {{.State}}"]).success(), "box running");
    home.hull(&["rm", "-f", "box"]).success();
}

#[test]
fn a_signal_to_the_client_reaches_the_container() {
    let (_registry, home, image) = Home::with_busybox();
    let script = "trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 0.1; done";
    let mut command =
        home.command(&["run", "--rm", "--network", "none", &image, "sh", "-c", script]);
    command.stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("hull");
    let mut stdout = child.stdout.take().expect("stdout is piped");
    let mut line = [0; 6];
    std::io::Read::read_exact(&mut stdout, &mut line).expect("a first line");
    assert_eq!(&line, b"ready\n");
    let pid = rustix::process::Pid::from_raw(child.id() as i32).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("kill");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stdout, &mut rest).expect("the rest");
    assert_eq!(rest, "caught\n");
    assert_eq!(child.wait().expect("wait").code(), Some(3));
}
