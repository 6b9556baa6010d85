//! `--attach`.

use crate::flags::Value;

/// Streams to attach to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Attach {
    /// The flag was given.
    pub(crate) given: bool,
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

impl Value for Attach {
    fn set(&mut self, text: &str) -> Result<(), String> {
        match text.to_ascii_lowercase().as_str() {
            "stdin" => self.stdin = true,
            "stdout" => self.stdout = true,
            "stderr" => self.stderr = true,
            _ => return Err("valid streams are STDIN, STDOUT and STDERR".into()),
        }
        self.given = true;
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "list"
    }
}
