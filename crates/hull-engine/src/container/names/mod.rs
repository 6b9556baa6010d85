//! Names of containers.

mod words;

use crate::{Error, Result, random};

/// Checks a name that a user gave and returns it without a leading slash.
pub(crate) fn parse(given: &str) -> Result<&str> {
    let name = given.strip_prefix('/').unwrap_or(given);
    let mut bytes = name.bytes();
    let valid = bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.len() > 1
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if valid {
        Ok(name)
    } else {
        Err(Error::InvalidParameter(format!(
            "Invalid container name ({given}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )))
    }
}

/// Makes a name up. From the second attempt on it ends in a digit, as others were taken.
pub(crate) fn generate(attempt: usize) -> Result<String> {
    let left = words::LEFT[random::below(words::LEFT.len())?];
    let right = words::RIGHT[random::below(words::RIGHT.len())?];
    Ok(match attempt {
        0 => format!("{left}_{right}"),
        _ => format!("{left}_{right}{}", random::below(10)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_names_are_names() {
        for name in ["web", "/web", "a.b-c_d", "0x", "A1"] {
            assert!(parse(name).is_ok(), "{name}");
        }
        assert_eq!(parse("/web").unwrap(), "web");
    }

    #[test]
    fn other_names_are_refused_in_dockers_words() {
        for name in ["", "/", "a", "-a", "a/b", "a b", "//ab", "\u{e4}b", "a\n"] {
            assert!(parse(name).is_err(), "{name:?}");
        }
        assert_eq!(
            parse("-a").unwrap_err().to_string(),
            "Invalid container name (-a), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        );
    }

    #[test]
    fn generated_names_are_valid() {
        for attempt in 0..200 {
            let name = generate(attempt).unwrap();
            assert_eq!(parse(&name).unwrap(), name);
        }
    }

    #[test]
    fn words_are_distinct_and_sorted() {
        assert!(words::LEFT.is_sorted_by(|a, b| a < b));
        assert!(words::RIGHT.is_sorted_by(|a, b| a < b));
    }
}
