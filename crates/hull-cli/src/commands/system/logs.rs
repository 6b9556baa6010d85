//! `hull system logs`.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::Duration;

use crate::commands::{Command, Invocation};
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "logs",
    arguments: "[OPTIONS]",
    about: "Show what the daemon has logged",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut follow = false;
    let mut tail = "all".to_owned();
    let mut flags = invocation.flags();
    flags.both(&mut follow, 'f', "follow", "Follow log output");
    flags.both(&mut tail, 'n', "tail", "Number of lines to show from the end of the logs");
    flags.parse(arguments, Arity::None)?;
    let lines = match tail.as_str() {
        "all" => None,
        number => Some(number.parse::<usize>().map_err(|_| {
            Failure::new(format!("invalid number of lines {number:?}: must be \"all\" or a number"))
        })?),
    };
    let path = invocation.context.log();
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::new(format!(
                "there is no log yet: {} does not exist",
                path.display()
            )));
        }
        Err(error) => {
            return Err(Failure::new(format!("cannot read {}: {error}", path.display())));
        }
    };
    let mut log = Vec::new();
    file.read_to_end(&mut log)?;
    output::print(last_lines(&log, lines))?;
    let mut position = log.len() as u64;
    if !follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(INTERVAL);
        // Cut by somebody: from the beginning again.
        if file.metadata()?.len() < position {
            file.seek(SeekFrom::Start(0))?;
            position = 0;
        }
        log.clear();
        file.read_to_end(&mut log)?;
        position += log.len() as u64;
        output::print(&log)?;
    }
}

fn last_lines(log: &[u8], lines: Option<usize>) -> &[u8] {
    let Some(lines) = lines else {
        return log;
    };
    let starts = log.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::len);
    let length: usize = starts.rev().take(lines).sum();
    &log[log.len() - length..]
}

const INTERVAL: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_are_cut_off() {
        assert_eq!(last_lines(b"a\nb\nc\n", Some(2)), b"b\nc\n");
        assert_eq!(last_lines(b"a\nb\nc", Some(2)), b"b\nc");
        assert_eq!(last_lines(b"a\n", Some(0)), b"");
        assert_eq!(last_lines(b"a\n", Some(9)), b"a\n");
        assert_eq!(last_lines(b"a\n", None), b"a\n");
    }
}
