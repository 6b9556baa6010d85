//! Signals of a Linux guest, by name and number, whatever the host is.

use crate::{Error, Result};

/// SIGKILL.
pub(crate) const KILL: i32 = 9;

/// Reads a signal: a name with or without `SIG`, in any case, or a number. Errors are worded as
/// those of dockerd's `kill` and `stop`.
pub(crate) fn parse(text: &str) -> Result<i32> {
    let number = text.parse::<i32>().ok();
    match (number, hull_plan::parse_signal(text)) {
        // Those between belong to the C library.
        (_, Ok(signal)) if !(32..34).contains(&signal) => Ok(signal),
        (Some(number), _) if number != 0 => Err(Error::InvalidParameter(format!(
            "the linux daemon does not support signal {number}"
        ))),
        _ => Err(Error::InvalidParameter(format!("invalid signal: {text}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_numbers() {
        for (text, number) in
            [("TERM", 15), ("sigterm", 15), ("SIGRTMIN+3", 37), ("9", 9), ("64", 64)]
        {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_signal() {
        for (text, message) in [
            ("0", "invalid signal: 0"),
            ("", "invalid signal: "),
            ("SIGFOO", "invalid signal: SIGFOO"),
            ("33", "the linux daemon does not support signal 33"),
            ("-1", "the linux daemon does not support signal -1"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message);
        }
    }
}
