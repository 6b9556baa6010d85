//! Sizes in bytes, as Docker prints and reads them.

use crate::template::printf::significant;

/// Prints a size with decimal units and four significant digits: `2.746MB`.
pub fn human_size(bytes: u64) -> String {
    human_size_with_precision(bytes, 4)
}

/// Prints a size with decimal units: lists of images and containers use three digits (`1.98MB`).
pub fn human_size_with_precision(bytes: u64, digits: usize) -> String {
    scaled(bytes, 1000.0, digits, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// Prints a size with binary units and four significant digits: `64MiB`.
pub fn bytes_size(bytes: u64) -> String {
    scaled(bytes, 1024.0, 4, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// Why a size cannot be read, in Docker's words.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseSizeError {
    #[error("invalid size: '{0}'")]
    Size(String),
    #[error("invalid suffix: '{0}'")]
    Suffix(String),
    #[error("strconv.ParseFloat: parsing \"{0}\": invalid syntax")]
    Number(String),
}

/// Reads a size with binary units: `512m`, `1.5 GiB`, `64kb`, in any case; the number alone is
/// bytes. What is too large for the type becomes its greatest value.
pub fn ram_in_bytes(text: &str) -> Result<i64, ParseSizeError> {
    size_in_bytes(text, 1024.0)
}

/// Reads a size with decimal units: `10m` is ten million (go-units' `FromHumanSize`).
pub fn human_size_in_bytes(text: &str) -> Result<i64, ParseSizeError> {
    size_in_bytes(text, 1000.0)
}

fn size_in_bytes(text: &str, base: f64) -> Result<i64, ParseSizeError> {
    let (number, suffix) = match text.split_once(' ') {
        Some(split) => split,
        None => match text.rfind(|c: char| c.is_ascii_digit() || c == '.') {
            Some(last) => text.split_at(last + 1),
            None => return Err(ParseSizeError::Size(text.into())),
        },
    };
    let plain = number.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E'));
    let value = match number.parse::<f64>() {
        Ok(value) if plain && value.is_finite() => value,
        _ => return Err(ParseSizeError::Number(number.into())),
    };
    if value < 0.0 {
        return Err(ParseSizeError::Size(text.into()));
    }
    let lower = suffix.to_lowercase();
    let power = match lower.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        // Docker shows a suffix that is too long as it was written.
        _ if suffix.len() > 3 => return Err(ParseSizeError::Suffix(suffix.into())),
        _ => return Err(ParseSizeError::Suffix(lower)),
    };
    Ok((value * base.powi(power)) as i64)
}

fn scaled(bytes: u64, base: f64, digits: usize, units: &[&str]) -> String {
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= base && unit + 1 < units.len() {
        size /= base;
        unit += 1;
    }
    format!("{}{}", significant(size, digits), units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_sizes() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1024, "1.024kB"),
            (1_000_000, "1MB"),
            (1_048_576, "1.049MB"),
            (2_746_000, "2.746MB"),
            (999_999, "1000kB"),
            (3_420_000_000, "3.42GB"),
            (u64::MAX, "18.45EB"),
        ] {
            assert_eq!(human_size(bytes), text);
        }
        for (bytes, text) in [
            (1_982_000, "1.98MB"),
            (5_590_000, "5.59MB"),
            (77_800_000, "77.8MB"),
            (124_400_000, "124MB"),
            (999_999, "1e+03kB"),
        ] {
            assert_eq!(human_size_with_precision(bytes, 3), text);
        }
    }

    #[test]
    fn binary_sizes() {
        for (bytes, text) in [
            (0, "0B"),
            (1024, "1KiB"),
            (67_108_864, "64MiB"),
            (1_148_846_080, "1.07GiB"),
            (1_048_576 - 1, "1024KiB"),
        ] {
            assert_eq!(bytes_size(bytes), text);
        }
    }

    #[test]
    fn reading() {
        for (text, bytes) in [
            ("32", 32),
            ("32b", 32),
            ("32k", 32 << 10),
            ("32K", 32 << 10),
            ("32kb", 32 << 10),
            ("32Kib", 32 << 10),
            ("512m", 512 << 20),
            ("1.5g", 3 << 29),
            ("1 GiB", 1 << 30),
            (".5m", 1 << 19),
            ("2t", 2 << 40),
            ("1p", 1 << 50),
            ("0", 0),
            ("9999999999999999999", i64::MAX),
        ] {
            assert_eq!(ram_in_bytes(text), Ok(bytes), "{text}");
        }
        for (text, message) in [
            ("x", "invalid size: 'x'"),
            ("", "invalid size: ''"),
            ("-1", "invalid size: '-1'"),
            ("-1m", "invalid size: '-1m'"),
            ("32x", "invalid suffix: 'x'"),
            ("32bb", "invalid suffix: 'bb'"),
            ("32kbb", "invalid suffix: 'kbb'"),
            ("32 ki", "invalid suffix: 'ki'"),
            ("1.2.3m", "strconv.ParseFloat: parsing \"1.2.3\": invalid syntax"),
            ("m32", "strconv.ParseFloat: parsing \"m32\": invalid syntax"),
        ] {
            assert_eq!(ram_in_bytes(text).unwrap_err().to_string(), message, "{text}");
        }
    }
}
