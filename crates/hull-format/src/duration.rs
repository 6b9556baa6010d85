//! Durations as Go reads and writes them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

/// A duration as Go's `time.Duration` has it, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct GoDuration(pub i64);

impl From<Duration> for GoDuration {
    fn from(duration: Duration) -> Self {
        Self(duration.as_nanos().try_into().unwrap_or(i64::MAX))
    }
}

impl FromStr for GoDuration {
    type Err = String;

    /// Reads `1m30s`, `1.5h`, `-2ms`, `0`; the error is Go's.
    fn from_str(text: &str) -> Result<Self, String> {
        let duration = parse_duration(text).ok_or_else(|| {
            let digits = text.trim_start_matches(['-', '+']);
            let number = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            match number && digits.bytes().any(|byte| byte.is_ascii_digit()) {
                true => format!("time: missing unit in duration {text:?}"),
                false => format!("time: invalid duration {text:?}"),
            }
        })?;
        // It was read from that many nanoseconds.
        Ok(Self(duration.as_nanos().try_into().unwrap_or_default()))
    }
}

impl fmt::Display for GoDuration {
    /// Writes as Go's `time.Duration.String`: `1h0m0s`, `1m30s`, `1.5s`, `100ms`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let decimal = |whole: u64, part: u64, places: usize| {
            let digits = format!("{part:0places$}");
            match digits.trim_end_matches('0') {
                "" => whole.to_string(),
                digits => format!("{whole}.{digits}"),
            }
        };
        match nanos {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{nanos}ns"),
            1_000..1_000_000 => write!(f, "{}\u{b5}s", decimal(nanos / 1_000, nanos % 1_000, 3)),
            1_000_000..1_000_000_000 => {
                write!(f, "{}ms", decimal(nanos / 1_000_000, nanos % 1_000_000, 6))
            }
            _ => {
                let (seconds, part) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
                if seconds >= 3600 {
                    write!(f, "{}h", seconds / 3600)?;
                }
                if seconds >= 60 {
                    write!(f, "{}m", seconds / 60 % 60)?;
                }
                write!(f, "{}s", decimal(seconds % 60, part, 9))
            }
        }
    }
}

/// Go's `time.ParseDuration`: `-1.5h`, `1h2m3s4ms5us6ns`, `0`.
pub(crate) fn parse_duration(text: &str) -> Option<SignedDuration> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos: i128 = 0;
    while !rest.is_empty() {
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(length);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let scale: i128 = match unit {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        nanos = nanos.checked_add(whole.checked_mul(scale)?)?;
        let mut place = scale;
        for digit in fraction.bytes() {
            place /= 10;
            nanos += place * i128::from(digit - b'0');
        }
        rest = next;
    }
    let nanos = i64::try_from(sign * nanos).ok()?;
    Some(SignedDuration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["0s", "1ns", "1.5\u{b5}s", "100ms", "1.5s", "1m30s", "1h0m0.25s", "-2m0s"] {
            assert_eq!(text.parse::<GoDuration>().unwrap().to_string(), text);
        }
        assert_eq!("1.5h".parse::<GoDuration>().unwrap().to_string(), "1h30m0s");
    }

    #[test]
    fn mistakes_are_worded_as_in_go() {
        let error = |text: &str| text.parse::<GoDuration>().unwrap_err();
        assert_eq!(error("5"), "time: missing unit in duration \"5\"");
        assert_eq!(error("x"), "time: invalid duration \"x\"");
        assert_eq!(error(""), "time: invalid duration \"\"");
    }
}
