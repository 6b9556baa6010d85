//! `--env-file` and `--label-file`: one `NAME=value` per line.

use crate::context::raw_variable;
use crate::error::Failure;
use crate::output;

/// Reads variables. A name without a value takes the one that it has here, or is left out.
pub(crate) fn read_env_file(path: &str) -> Result<Vec<String>, Failure> {
    read(path, |name| Some(format!("{name}={}", raw_variable(name)?)))
}

/// Reads labels. A name without a value is left out, as Docker does.
pub(crate) fn read_label_file(path: &str) -> Result<Vec<String>, Failure> {
    read(path, |_| None)
}

fn read(path: &str, alone: impl Fn(&str) -> Option<String>) -> Result<Vec<String>, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::new(format!("open {path}: {}", output::reason(&error))))?;
    parse(&bytes, alone).map_err(|why| Failure::new(format!("invalid env file ({path}): {why}")))
}

fn parse(bytes: &[u8], alone: impl Fn(&str) -> Option<String>) -> Result<Vec<String>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut pairs = Vec::new();
    for (number, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if line.len() >= LONGEST {
            return Err("bufio.Scanner: token too long".into());
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(line) = std::str::from_utf8(line) else {
            let bytes: Vec<String> = line.iter().map(u8::to_string).collect();
            return Err(format!(
                "invalid utf8 bytes at line {}: [{}]",
                number + 1,
                bytes.join(" ")
            ));
        };
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (line, None),
        };
        let name = name.trim_start();
        if name.contains(char::is_whitespace) {
            return Err(format!("variable '{name}' contains whitespaces"));
        }
        if name.is_empty() {
            return Err(format!("no variable name on line '{line}'"));
        }
        match value {
            Some(value) => pairs.push(format!("{name}={value}")),
            None => pairs.extend(alone(name)),
        }
    }
    Ok(pairs)
}

/// A line of this many bytes is too long for docker's client, whose scanner has such a buffer.
const LONGEST: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_docker_reads_them() {
        let read = |text: &[u8]| parse(text, |name| (name == "SET").then(|| "SET=1".to_owned()));
        let text = b"\xef\xbb\xbf# comment\n\n  A=b c \r\nSET\nUNSET\nE=\nX=a=b";
        assert_eq!(read(text).unwrap(), ["A=b c ", "SET=1", "E=", "X=a=b"]);
        assert_eq!(read(b"A B=c").unwrap_err(), "variable 'A B' contains whitespaces");
        assert_eq!(read(b"=c").unwrap_err(), "no variable name on line '=c'");
        let line = |length: usize| [b"A=", vec![b'x'; length - 2].as_slice(), b"\n"].concat();
        assert!(read(&line(LONGEST - 1)).is_ok());
        assert_eq!(read(&line(LONGEST)).unwrap_err(), "bufio.Scanner: token too long");
        assert_eq!(read(b"\xff=c").unwrap_err(), "invalid utf8 bytes at line 1: [255 61 99]");
    }
}
