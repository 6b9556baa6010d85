//! Runs a command with a time limit and keeps what it wrote.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a command wrote and how it ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Output {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Exit code; 128 + n if signal n ended it, as a shell says it.
    pub code: i32,
}

impl Output {
    /// Returns stdout as text, invalid UTF-8 replaced, without trailing white space.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// Returns stderr as text, invalid UTF-8 replaced.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Returns stdout as text if the command succeeded.
    ///
    /// # Panics
    /// If it did not: fails the test with everything that the command wrote.
    #[track_caller]
    pub fn success(&self) -> String {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.text(), self.errors());
        self.text()
    }
}

/// Runs `command` without input.
pub fn run(command: &mut Command, limit: Duration) -> Output {
    command.stdin(Stdio::null());
    finish(spawn(command), command, limit)
}

/// Runs `command` with `input` as its standard input, then end of file.
pub fn run_with_input(command: &mut Command, input: Vec<u8>, limit: Duration) -> Output {
    command.stdin(Stdio::piped());
    let mut child = spawn(command);
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // The command may end before it has read everything: a broken pipe is its business.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = finish(child, command, limit);
    writer.join().expect("the writer does not panic");
    output
}

fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn finish(mut child: Child, command: &Command, limit: Duration) -> Output {
    let stdout = drain(child.stdout.take().expect("stdout is piped"));
    let stderr = drain(child.stderr.take().expect("stderr is piped"));
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            let (out, err) = (stdout.join(), stderr.join());
            panic!(
                "{command:?} did not end in {limit:?}\nstdout: {}\nstderr: {}",
                String::from_utf8_lossy(&out.unwrap_or_default()),
                String::from_utf8_lossy(&err.unwrap_or_default()),
            );
        }
        thread::sleep(Duration::from_millis(5));
    };
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Output {
        stdout: stdout.join().expect("the reader does not panic"),
        stderr: stderr.join().expect("the reader does not panic"),
        code,
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}
