//! `-v`.

use std::path::absolute;

use serde_json::{Map, Value as Json, json};

use crate::error::Failure;

/// Volumes as docker's client sorts them: with a source, and anonymous ones.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Volumes {
    /// `source:destination[:mode]`.
    pub(crate) binds: Vec<String>,
    destinations: Vec<String>,
}

impl Volumes {
    /// Sorts what the user gave.
    ///
    /// # Errors
    /// As docker's client has them; what else is wrong, the daemon finds.
    pub(crate) fn parse(given: &[String]) -> Result<Self, Failure> {
        let mut volumes = Self::default();
        for (index, text) in given.iter().enumerate() {
            if given[..index].contains(text) {
                // Docker's client keeps a set of them.
                continue;
            }
            check(text)?;
            match text.split_once(':') {
                // Docker's client takes a letter for a drive of Windows, and all for a destination.
                Some((source, rest)) if is_drive(source) && !rest.contains(':') => {
                    volumes.destinations.push(text.clone());
                }
                Some((source, rest)) if is_relative(source) => {
                    let source = absolute(source)?;
                    volumes.binds.push(format!("{}:{rest}", clean(&source.to_string_lossy())));
                }
                Some(_) => volumes.binds.push(text.clone()),
                None => volumes.destinations.push(text.clone()),
            }
        }
        Ok(volumes)
    }

    /// Returns the anonymous ones as the API has them.
    pub(crate) fn anonymous(&self) -> Json {
        self.destinations.iter().map(|path| (path.clone(), json!({}))).collect::<Map<_, _>>().into()
    }
}

/// Finds what docker's client finds before the daemon is asked.
fn check(text: &str) -> Result<(), Failure> {
    if text.is_empty() {
        return Err(Failure::new("invalid empty volume spec"));
    }
    if text.len() <= 2 {
        return Ok(());
    }
    let invalid = |why: &str| Err(Failure::new(format!("invalid spec: {text}: {why}")));
    let sections: Vec<&str> = text.split(':').collect();
    for (index, section) in sections.iter().enumerate() {
        let is_last = index + 1 == sections.len();
        if section.is_empty() {
            return invalid("empty section between colons");
        }
        if index == 2 && !is_last {
            return invalid("too many colons");
        }
    }
    Ok(())
}

fn is_drive(source: &str) -> bool {
    source.len() == 1 && source.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Docker's client takes everything that begins with a dot for a path, hidden files among it.
fn is_relative(source: &str) -> bool {
    source.starts_with('.')
}

/// Drops `.` and `..` from an absolute path, as Go's `filepath.Abs` does.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(given: &[&str]) -> Result<Volumes, String> {
        let given: Vec<String> = given.iter().map(|text| (*text).into()).collect();
        Volumes::parse(&given).map_err(|failure| failure.to_string())
    }

    #[test]
    fn volumes_without_a_source_are_anonymous() {
        let volumes = parse(&["/a", "bb:/c:ro", "/d:/e", "x:/y"]).unwrap();
        assert_eq!(volumes.binds, ["bb:/c:ro", "/d:/e"]);
        assert_eq!(volumes.anonymous(), json!({"/a": {}, "x:/y": {}}));
    }

    #[test]
    fn relative_sources_are_made_absolute() {
        let here = std::env::current_dir().unwrap();
        let volumes = parse(&["./x/../y:/z", ".:/w"]).unwrap();
        let here = here.to_str().unwrap();
        assert_eq!(volumes.binds, [format!("{here}/y:/z"), format!("{here}:/w")]);
    }

    #[test]
    fn dockers_words() {
        for (text, message) in [
            ("", "invalid empty volume spec"),
            (":/x", "invalid spec: :/x: empty section between colons"),
            ("/x::ro", "invalid spec: /x::ro: empty section between colons"),
            ("/a:/b:ro:x", "invalid spec: /a:/b:ro:x: too many colons"),
        ] {
            assert_eq!(parse(&[text]).unwrap_err(), message);
        }
    }
}
