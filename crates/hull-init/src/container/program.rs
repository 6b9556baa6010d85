//! Finding a program as Go's `exec.LookPath` does, with the words that it uses.

use std::ffi::CString;

use hull_protocol::ErrorCode;
use rustix::fs::{Access, AtFlags, CWD, FileType};
use rustix::io::Errno;

use crate::failure::{Failure, Result, errno_text, quoted};

/// Returns the path of `name` for the directories of `path`; to be called as the user and in the
/// directory that will execute it.
pub(crate) fn look_up(name: &str, path: &str) -> Result<String> {
    if name.contains('/') {
        return match executable(name) {
            Ok(()) => Ok(name.into()),
            Err(problem) => Err(problem.failure(name)),
        };
    }
    if !path.is_empty() {
        for directory in path.split(':') {
            let directory = match directory {
                "" => ".",
                directory => directory,
            };
            let candidate = match directory {
                "." => name.to_owned(),
                "/" => format!("/{name}"),
                directory => format!("{}/{name}", directory.trim_end_matches('/')),
            };
            if executable(&candidate).is_ok() {
                if !candidate.starts_with('/') {
                    return Err(Failure::failed(format!(
                        "exec: {}: cannot run executable found relative to current directory",
                        quoted(name)
                    )));
                }
                return Ok(candidate);
            }
        }
    }
    Err(Failure::new(
        ErrorCode::NoProgram,
        format!("exec: {}: executable file not found in $PATH", quoted(name)),
    ))
}

/// Returns the environment with every name once: the last value at the first place, as Go keeps it.
pub(crate) fn environment(entries: &[String]) -> Result<Vec<String>> {
    let mut out: Vec<String> = Vec::with_capacity(entries.len() + 1);
    for entry in entries {
        let Some((name, _)) = entry.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Failure::invalid(format!("invalid environment variable: {entry}")));
        };
        if entry.contains('\0') {
            return Err(Failure::invalid(format!(
                "invalid environment variable {}: contains nul byte (\\x00)",
                quoted(name)
            )));
        }
        set(&mut out, name, entry);
    }
    Ok(out)
}

/// Returns the value of `name`.
pub(crate) fn variable<'a>(environment: &'a [String], name: &str) -> Option<&'a str> {
    environment.iter().find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
}

/// Sets `name` to what `entry` (`name=value`) says.
pub(crate) fn set(environment: &mut Vec<String>, name: &str, entry: &str) {
    let is_same = |known: &&mut String| {
        let value = known.strip_prefix(name);
        value.is_some_and(|value| value.starts_with('='))
    };
    match environment.iter_mut().find(is_same) {
        Some(known) => entry.clone_into(known),
        None => environment.push(entry.into()),
    }
}

/// Returns `strings` for execve(2).
pub(crate) fn c_strings(strings: &[String]) -> Result<Vec<CString>> {
    strings
        .iter()
        .map(|string| {
            CString::new(string.as_str())
                .map_err(|_| Failure::invalid(format!("{} contains a null byte", quoted(string))))
        })
        .collect()
}

enum Problem {
    Stat(Errno),
    Denied,
}

impl Problem {
    fn failure(&self, name: &str) -> Failure {
        let (code, text) = match self {
            Self::Stat(errno) => {
                let code = match *errno {
                    Errno::NOENT | Errno::NOTDIR => ErrorCode::NoProgram,
                    _ => ErrorCode::NotExecutable,
                };
                (code, format!("stat {name}: {}", errno_text(*errno)))
            }
            Self::Denied => (ErrorCode::NotExecutable, "permission denied".into()),
        };
        Failure::new(code, format!("exec: {}: {text}", quoted(name)))
    }
}

fn executable(path: &str) -> Result<(), Problem> {
    let stat = rustix::fs::stat(path).map_err(Problem::Stat)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        // Newer Go says "is a directory"; this is runc 1.1's word.
        return Err(Problem::Denied);
    }
    match rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        Ok(()) => Ok(()),
        // Not known to the kernel, or refused by the container's seccomp profile.
        Err(Errno::NOSYS | Errno::PERM) if stat.st_mode & 0o111 != 0 => Ok(()),
        Err(_) => Err(Problem::Denied),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_and_missed_in_go_words() {
        assert_eq!(look_up("sh", "/nosuch:/bin").unwrap(), "/bin/sh");
        assert_eq!(look_up("/bin/sh", "").unwrap(), "/bin/sh");
        for (name, path, code, message) in [
            (
                "nosuch",
                "/bin",
                ErrorCode::NoProgram,
                "exec: \"nosuch\": executable file not found in $PATH",
            ),
            ("sh", "", ErrorCode::NoProgram, "exec: \"sh\": executable file not found in $PATH"),
            (
                "/nosuch",
                "/bin",
                ErrorCode::NoProgram,
                "exec: \"/nosuch\": stat /nosuch: no such file or directory",
            ),
            (
                "/etc/passwd",
                "/bin",
                ErrorCode::NotExecutable,
                "exec: \"/etc/passwd\": permission denied",
            ),
        ] {
            assert_eq!(look_up(name, path), Err(Failure::new(code, message)));
        }
        let directory = look_up("/etc", "/bin").unwrap_err();
        assert_eq!(directory.message, "exec: \"/etc\": permission denied");
    }

    #[test]
    fn the_last_value_of_a_variable_wins_at_the_first_place() {
        let entries = ["A=1", "B=2", "A=3", "AB="].map(String::from);
        let environment = environment(&entries).unwrap();
        assert_eq!(environment, ["A=3", "B=2", "AB="]);
        assert_eq!(variable(&environment, "A"), Some("3"));
        assert_eq!(variable(&environment, "C"), None);
        assert!(super::environment(&["NO".into()]).is_err());
    }
}
