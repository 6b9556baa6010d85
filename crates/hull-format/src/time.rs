//! Times and durations, as Docker prints and reads them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use crate::duration::parse_duration;

/// Prints a time as Go's `RFC3339Nano` in UTC: no trailing zeros behind the second.
pub fn rfc3339(time: Timestamp) -> String {
    let text = log_time(time);
    let digits = text.trim_end_matches('Z').trim_end_matches('0');
    format!("{}Z", digits.trim_end_matches('.'))
}

/// Prints a time with nine digits behind the second: `docker logs --timestamps`.
pub fn log_time(time: Timestamp) -> String {
    let utc = Offset::UTC.to_datetime(time);
    format!("{}.{:09}Z", utc.strftime("%Y-%m-%dT%H:%M:%S"), utc.subsec_nanosecond())
}

/// Prints a time as Go's `Time.String` does: `2026-11-21 23:12:13 +0000 UTC`.
pub fn local_time(time: Timestamp, zone: &TimeZone) -> String {
    let zoned = time.to_zoned(zone.clone());
    let nanos = match zoned.subsec_nanosecond() {
        0 => String::new(),
        nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    };
    format!("{}{nanos} {}", zoned.strftime("%Y-%m-%d %H:%M:%S"), zoned.strftime("%z %Z"))
}

/// Prints a duration in words: `3 seconds`, `About a minute`, `2 weeks`.
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds / 60;
    // Hours are rounded, all else is cut off.
    let hours = (duration.as_secs_f64() / 3600.0 + 0.5) as u64;
    match () {
        () if seconds < 1 => "Less than a second".into(),
        () if seconds == 1 => "1 second".into(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".into(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".into(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// Prints how long ago `then` was: `5 minutes ago`.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", human_duration(between(then, now)))
}

/// State of a container in the words of `docker ps`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    Created,
    /// `note` is what is said of it in parentheses: `Paused`, `healthy`; empty: nothing.
    Running {
        started: Timestamp,
        note: &'static str,
    },
    Restarting {
        code: i32,
        finished: Timestamp,
    },
    Exited {
        code: i32,
        finished: Timestamp,
    },
    Removing,
    Dead,
}

impl Status {
    /// Prints the state: `Up 3 seconds`, `Exited (0) 5 minutes ago`.
    pub fn describe(self, now: Timestamp) -> String {
        match self {
            Self::Created => "Created".into(),
            Self::Running { started, note } => {
                let up = human_duration(between(started, now));
                match note {
                    "" => format!("Up {up}"),
                    note => format!("Up {up} ({note})"),
                }
            }
            Self::Restarting { code, finished } => {
                format!("Restarting ({code}) {}", ago(finished, now))
            }
            Self::Exited { code, finished } => format!("Exited ({code}) {}", ago(finished, now)),
            Self::Removing => "Removal In Progress".into(),
            Self::Dead => "Dead".into(),
        }
    }
}

/// Why a time cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("failed to parse value as time or duration: \"{0}\"")]
pub struct ParseTimeError(String);

/// Reads what `--since` and `--until` take: a duration before `now` (`10m`, `1h30m`), a date or
/// time of RFC 3339 (in `zone` unless it names one), or seconds since 1970 with a fraction.
pub fn parse_time(
    text: &str,
    now: Timestamp,
    zone: &TimeZone,
) -> Result<Timestamp, ParseTimeError> {
    let malformed = || ParseTimeError(text.to_owned());
    if let Some(duration) = parse_duration(text).filter(|_| text != "0") {
        return now.checked_sub(duration).map_err(|_| malformed());
    }
    if text.len() >= 10 && text.as_bytes()[4] == b'-' {
        return parse_date(text, zone).ok_or_else(malformed);
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(seconds.strip_prefix('-').unwrap_or(seconds)) || !digits(fraction) {
        return Err(malformed());
    }
    let nanos = format!("{fraction:0<9}");
    let nanos = nanos[..9].parse().map_err(|_| malformed())?;
    let seconds = seconds.parse().map_err(|_| malformed())?;
    Timestamp::new(seconds, nanos).map_err(|_| malformed())
}

fn parse_date(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let time = text.get(10..)?;
    if !time.is_empty() && !time.starts_with(['T', 'Z', 'z', '+', '-']) {
        return None;
    }
    let (local, zone) = match time.find(['Z', 'z', '+', '-']) {
        None => (text, zone.clone()),
        Some(at) => {
            let (local, name) = text.split_at(10 + at);
            (local, TimeZone::fixed(parse_offset(name)?))
        }
    };
    let local: DateTime = local.parse().ok()?;
    let zoned = local.to_zoned(zone).ok()?;
    Some(zoned.timestamp())
}

fn parse_offset(text: &str) -> Option<Offset> {
    if matches!(text, "Z" | "z") {
        return Some(Offset::UTC);
    }
    let (sign, digits) = match text.split_at(1) {
        ("+", digits) => (1, digits),
        (_, digits) => (-1, digits),
    };
    let (hours, minutes) = digits.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60)
        .then(|| Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok())?
}

/// Nothing if `then` is in the future: clocks of two machines differ.
fn between(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn printing_times() {
        for (text, short, long) in [
            ("2026-11-21T23:12:13Z", "2026-11-21T23:12:13Z", "2026-11-21T23:12:13.000000000Z"),
            (
                "2026-11-21T23:12:13.120Z",
                "2026-11-21T23:12:13.12Z",
                "2026-11-21T23:12:13.120000000Z",
            ),
            (
                "2026-11-21T23:12:10.000000001Z",
                "2026-11-21T23:12:10.000000001Z",
                "2026-11-21T23:12:10.000000001Z",
            ),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000000Z"),
        ] {
            assert_eq!(rfc3339(at(text)), short);
            assert_eq!(log_time(at(text)), long);
        }
        let time = at("2026-11-21T23:12:13Z");
        assert_eq!(local_time(time, &TimeZone::UTC), "2026-11-21 23:12:13 +0000 UTC");
        assert_eq!(
            local_time(at("2026-11-21T23:12:13.5Z"), &TimeZone::UTC),
            "2026-11-21 23:12:13.5 +0000 UTC"
        );
    }

    #[test]
    fn durations_in_words() {
        const HOUR: u64 = 3600;
        const DAY: u64 = 24 * HOUR;
        for (seconds, words) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (59 * 60 + 59, "59 minutes"),
            (HOUR, "About an hour"),
            (HOUR + 1799, "About an hour"),
            (HOUR + 1800, "2 hours"),
            (47 * HOUR, "47 hours"),
            (2 * DAY, "2 days"),
            (13 * DAY, "13 days"),
            (14 * DAY, "2 weeks"),
            (59 * DAY, "8 weeks"),
            (60 * DAY, "2 months"),
            (729 * DAY, "24 months"),
            (730 * DAY, "2 years"),
        ] {
            assert_eq!(human_duration(Duration::from_secs(seconds)), words, "{seconds}");
        }
        assert_eq!(human_duration(Duration::from_millis(999)), "Less than a second");
    }

    #[test]
    fn states() {
        let now = at("2026-11-21T12:00:00Z");
        let then = at("2026-11-21T11:55:00Z");
        for (status, text) in [
            (Status::Created, "Created"),
            (Status::Running { started: then, note: "" }, "Up 5 minutes"),
            (Status::Running { started: then, note: "Paused" }, "Up 5 minutes (Paused)"),
            (Status::Running { started: now, note: "" }, "Up Less than a second"),
            (Status::Exited { code: 137, finished: then }, "Exited (137) 5 minutes ago"),
            (Status::Restarting { code: 1, finished: then }, "Restarting (1) 5 minutes ago"),
            (Status::Dead, "Dead"),
            (Status::Removing, "Removal In Progress"),
        ] {
            assert_eq!(status.describe(now), text);
        }
        // A clock that was set back.
        assert_eq!(ago(now, then), "Less than a second ago");
    }

    #[test]
    fn reading_times() {
        let now = at("2026-11-21T12:00:00Z");
        let zone = TimeZone::fixed(Offset::from_seconds(3600).unwrap());
        for (text, time) in [
            ("10m", "2026-11-21T11:50:00Z"),
            ("1h30m", "2026-11-21T10:30:00Z"),
            ("1.5s", "2026-11-21T11:59:58.5Z"),
            ("-1h", "2026-11-21T13:00:00Z"),
            ("2026-11-20", "2026-11-19T23:00:00Z"),
            ("2026-11-20Z", "2026-11-20T00:00:00Z"),
            ("2026-11-20+02:00", "2026-11-19T22:00:00Z"),
            ("2026-11-20T10", "2026-11-20T09:00:00Z"),
            ("2026-11-20T10:11", "2026-11-20T09:11:00Z"),
            ("2026-11-20T10:11:12", "2026-11-20T09:11:12Z"),
            ("2026-11-20T10:11:12.5", "2026-11-20T09:11:12.5Z"),
            ("2026-11-20T10:11Z", "2026-11-20T10:11:00Z"),
            ("2026-11-20T10:11:12-05:00", "2026-11-20T15:11:12Z"),
            ("2026-11-20T10:11:12.000000001Z", "2026-11-20T10:11:12.000000001Z"),
            ("0", "1970-01-01T00:00:00Z"),
            ("1136073600", "2006-01-01T00:00:00Z"),
            ("1136073600.000000001", "2006-01-01T00:00:00.000000001Z"),
            ("1136073600.5", "2006-01-01T00:00:00.5Z"),
        ] {
            assert_eq!(parse_time(text, now, &zone), Ok(at(time)), "{text}");
        }
        for text in [
            "",
            "x",
            "10",
            "1136073600.x",
            "2026-13-01",
            "2026-11-20T25:00",
            "2026-11-20X",
            "5x",
            "1.",
        ] {
            if text == "10" {
                assert!(parse_time(text, now, &zone).is_ok());
                continue;
            }
            let error = parse_time(text, now, &zone).unwrap_err().to_string();
            assert_eq!(error, format!("failed to parse value as time or duration: \"{text}\""));
        }
    }
}
