//! PAX extended headers: `length key=value\n` records.

use super::{ArchiveError, Entry};
use crate::tree::{Timestamp, Xattr};

/// Key and value, in the order of the header.
pub(super) type Record = (Vec<u8>, Vec<u8>);

const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

/// Cuts an extended header into its records; of a repeated key the last one counts, except for the
/// sparse map of format 0.0, which consists of repeated keys.
pub(super) fn parse(mut text: &[u8]) -> Result<Vec<Record>, ArchiveError> {
    let mut records = Vec::new();
    while !text.is_empty() {
        let (record, rest) = record(text).ok_or(ArchiveError::Header("invalid PAX record"))?;
        records.push(record);
        text = rest;
    }
    Ok(records)
}

/// Returns the last value of `key`; empty if there is none.
pub(super) fn value<'a>(records: &'a [Record], key: &str) -> &'a [u8] {
    let found = records.iter().rev().find(|(k, _)| k == key.as_bytes());
    found.map_or(&[], |(_, value)| value)
}

/// Puts the records' values in place of the fixed header's. An empty value leaves that alone.
pub(super) fn apply(records: &[Record], entry: &mut Entry) -> Result<(), ArchiveError> {
    for (key, value) in records {
        if value.is_empty() {
            continue;
        }
        match key.as_slice() {
            b"path" => entry.name.clone_from(value),
            b"linkpath" => entry.link.clone_from(value),
            b"size" => entry.size = decimal(value)?.cast_unsigned(),
            b"uid" => entry.uid = decimal(value)?,
            b"gid" => entry.gid = decimal(value)?,
            b"mtime" => entry.mtime = time(value)?,
            // Unused, but refused when invalid.
            b"atime" | b"ctime" => drop(time(value)?),
            key => {
                if let Some(name) = key.strip_prefix(XATTR_PREFIX) {
                    entry.xattrs.retain(|x| *x.name != *name);
                    entry.xattrs.push(Xattr { name: name.into(), value: value.as_slice().into() });
                }
            }
        }
    }
    Ok(())
}

/// Parses a decimal number with an optional sign.
pub(super) fn decimal(text: &[u8]) -> Result<i64, ArchiveError> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(ArchiveError::Header("invalid number in a PAX record"))
}

fn record(text: &[u8]) -> Option<(Record, &[u8])> {
    let space = text.iter().position(|&b| b == b' ')?;
    let len: usize = std::str::from_utf8(&text[..space]).ok()?.parse().ok()?;
    if len < 5 || len > text.len() || text[len - 1] != b'\n' {
        return None;
    }
    let body = text.get(space + 1..len - 1)?;
    let equals = body.iter().position(|&b| b == b'=')?;
    let (key, value) = (&body[..equals], &body[equals + 1..]);
    let must_be_text = matches!(key, b"path" | b"linkpath" | b"uname" | b"gname");
    let checked = if must_be_text { value } else { key };
    if key.is_empty() || checked.contains(&0) {
        return None;
    }
    Some(((key.to_vec(), value.to_vec()), &text[len..]))
}

/// Parses seconds with an optional sign and fraction; digits after the ninth are dropped.
fn time(text: &[u8]) -> Result<Timestamp, ArchiveError> {
    let invalid = ArchiveError::Header("invalid time in a PAX record");
    let (whole, fraction) = match text.iter().position(|&b| b == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &[][..]),
    };
    let sec = decimal(whole)?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(invalid);
    }
    let digits = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nsec = digits.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    if whole.first() == Some(&b'-') && nsec > 0 {
        let sec = sec.checked_sub(1).ok_or(invalid)?;
        let nsec = 1_000_000_000 - nsec;
        return Ok(Timestamp { sec, nsec });
    }
    Ok(Timestamp { sec, nsec })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_with_fraction_and_sign() {
        let parse = |text: &str| time(text.as_bytes()).map(|t| (t.sec, t.nsec)).ok();
        assert_eq!(parse("1350244992.023960108"), Some((1_350_244_992, 23_960_108)));
        assert_eq!(parse("1.1234567899"), Some((1, 123_456_789)));
        assert_eq!(parse("-1.25"), Some((-2, 750_000_000)));
        assert_eq!(parse("-0.5"), Some((-1, 500_000_000)));
        assert_eq!(parse("5."), Some((5, 0)));
        for text in ["", ".5", "1.5e3", "1.-5", "--1", "99999999999999999999"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn parse_malformed_records_returns_error() {
        for text in
            ["5 a=b", "4 =b\n", "99 a=b\n", "6 ab=\0\n", "8 a b\n\n\n", "-6 a=b\n", "6  a=b\n"]
        {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert_eq!(parse(b"6 a=b\n").unwrap(), [(b"a".to_vec(), b"b".to_vec())]);
    }
}
