//! Signals by name and number: signal(7) for x86 and ARM.

use crate::Error;

/// Parses a signal as Docker does: a number, or a name with or without `SIG`, in any case,
/// `RTMIN+n` and `RTMAX-n` too.
pub fn parse_signal(text: &str) -> Result<i32, Error> {
    let invalid = || Error::invalid(format!("Invalid signal: {text}"));
    if let Ok(number) = text.parse::<i32>() {
        return match number {
            1..=SIGRTMAX => Ok(number),
            _ => Err(invalid()),
        };
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Ok(*number);
    }
    let offset = |digits: &str, limit| match digits.parse() {
        Ok(n @ 1..) if n <= limit && !digits.starts_with(['0', '+']) => Ok(n),
        _ => Err(invalid()),
    };
    match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
        (Some(digits), _) => Ok(SIGRTMIN + offset(digits, 15)?),
        (_, Some(digits)) => Ok(SIGRTMAX - offset(digits, 14)?),
        _ => Err(invalid()),
    }
}

const SIGRTMIN: i32 = 34;
const SIGRTMAX: i32 = 64;

const NAMES: [(&str, i32); 36] = [
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", 9),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", 15),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("RTMIN", SIGRTMIN),
    ("RTMAX", SIGRTMAX),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigkill", 9),
            ("usr1", 10),
            ("9", 9),
            ("64", 64),
            ("SIGRTMIN", 34),
            ("rtmin+3", 37),
            ("SIGRTMIN+15", 49),
            ("RTMAX-14", 50),
            ("RTMAX", 64),
        ] {
            assert_eq!(parse_signal(text).unwrap(), number, "{text}");
        }
        for text in
            ["", "0", "-1", "65", "FOO", "SIG", "SIGSIGTERM", "RTMIN+16", "RTMIN+0", "RTMAX-15"]
        {
            let message = parse_signal(text).unwrap_err().to_string();
            assert_eq!(message, format!("Invalid signal: {text}"));
        }
    }
}
