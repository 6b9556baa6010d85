//! The fixed 512 byte header and its four dialects: V7, ustar, star and GNU.

use super::{ArchiveError, Entry, RECORD, until_nul};
use crate::tree::Timestamp;

#[derive(Clone, Copy, Eq, PartialEq)]
enum Format {
    Gnu,
    Star,
    Ustar,
    V7,
}

/// Parses a header block, checksum included.
pub(super) fn parse(block: &[u8; RECORD]) -> Result<Entry, ArchiveError> {
    let format = format(block)?;
    let mut name = until_nul(&block[..100]).to_vec();
    let mut major = 0;
    let mut minor = 0;
    if format != Format::V7 {
        major = number(&block[329..337])?;
        minor = number(&block[337..345])?;
        let prefix = prefix(block, format)?;
        if !prefix.is_empty() {
            name = [prefix, b"/", &name].concat();
        }
    }
    Ok(Entry {
        name,
        link: until_nul(&block[157..257]).to_vec(),
        kind: block[156],
        mode: number(&block[100..108])?,
        uid: number(&block[108..116])?,
        gid: number(&block[116..124])?,
        // A negative size becomes one above `i64::MAX`, which is refused where it matters.
        size: number(&block[124..136])?.cast_unsigned(),
        mtime: Timestamp { sec: number(&block[136..148])?, nsec: 0 },
        major,
        minor,
        regions: None,
        xattrs: Vec::new(),
    })
}

/// Parses a numeric field: octal text, or base 256 (two's complement) if its first bit is set.
pub(super) fn number(field: &[u8]) -> Result<i64, ArchiveError> {
    if field.first().is_none_or(|first| first & 0x80 == 0) {
        return octal(field);
    }
    let negative = field[0] & 0x40 != 0;
    let invert = if negative { 0xff } else { 0 };
    let mut value: u64 = 0;
    for (i, &byte) in field.iter().enumerate() {
        let mut byte = byte ^ invert;
        if i == 0 {
            byte &= 0x7f;
        }
        if value >> 56 != 0 {
            return Err(ArchiveError::Header("number out of range"));
        }
        value = value << 8 | u64::from(byte);
    }
    let value = i64::try_from(value).map_err(|_| ArchiveError::Header("number out of range"))?;
    Ok(if negative { !value } else { value })
}

/// Whether the GNU sparse fields of a header have meaning.
pub(super) fn is_gnu(block: &[u8; RECORD]) -> bool {
    block[257..265] == *b"ustar  \0"
}

fn octal(field: &[u8]) -> Result<i64, ArchiveError> {
    let padding = |b: &u8| matches!(b, b' ' | 0);
    let Some(start) = field.iter().position(|b| !padding(b)) else {
        return Ok(0);
    };
    let end = field.iter().rposition(|b| !padding(b)).map_or(0, |i| i + 1);
    let mut value: u64 = 0;
    for &digit in until_nul(&field[start..end]) {
        if !(b'0'..=b'7').contains(&digit) || value >> 61 != 0 {
            return Err(ArchiveError::Header("invalid number"));
        }
        value = value << 3 | u64::from(digit - b'0');
    }
    Ok(value.cast_signed())
}

fn format(block: &[u8; RECORD]) -> Result<Format, ArchiveError> {
    let expected = octal(&block[148..156])?;
    let summed = || {
        let field = std::iter::repeat_n(&b' ', 8);
        block[..148].iter().chain(field).chain(&block[156..])
    };
    // Some old programs summed signed bytes.
    let unsigned: i64 = summed().map(|&b| i64::from(b)).sum();
    let signed: i64 = summed().map(|&b| i64::from(b.cast_signed())).sum();
    if expected != unsigned && expected != signed {
        return Err(ArchiveError::Header("wrong checksum"));
    }
    Ok(match &block[257..263] {
        b"ustar\0" if block[508..] == *b"tar\0" => Format::Star,
        b"ustar\0" => Format::Ustar,
        _ if is_gnu(block) => Format::Gnu,
        _ => Format::V7,
    })
}

fn prefix(block: &[u8; RECORD], format: Format) -> Result<&[u8], ArchiveError> {
    Ok(match format {
        Format::V7 => &[],
        Format::Ustar => until_nul(&block[345..500]),
        Format::Star => {
            number(&block[476..488])?;
            number(&block[488..500])?;
            until_nul(&block[345..476])
        }
        // GNU has times here. Archives of an old Go writer have a prefix, which shows by being no
        // numbers.
        Format::Gnu => {
            let prefix = until_nul(&block[345..500]);
            let times = [&block[345..357], &block[357..369]];
            let is_times = times.iter().all(|t| t[0] == 0 || number(t).is_ok());
            if is_times || !prefix.is_ascii() { &[] } else { prefix }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_octal_and_base256() {
        assert_eq!(number(b"0000644\0").unwrap(), 0o644);
        assert_eq!(number(b" 644  \0\0").unwrap(), 0o644);
        assert_eq!(number(b"\0\0\0\0").unwrap(), 0);
        assert_eq!(number(b"\xff\xff\xff\xfb").unwrap(), -5);
        assert_eq!(number(b"\x80\0\0\x01\0").unwrap(), 256);
        assert_eq!(number(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff").unwrap(), i64::MAX);
    }

    #[test]
    fn number_invalid_returns_error() {
        for field in [b"00008".as_slice(), b"-1", b"\x80\x01\0\0\0\0\0\0\0\0", b"1 2"] {
            assert!(number(field).is_err(), "{field:?}");
        }
    }
}
