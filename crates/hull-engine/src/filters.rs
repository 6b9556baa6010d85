//! Docker's filters: keys with values, any value of a key matches, all keys must.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::{Error, Result};

/// Filters of a list or of the event stream, as given with `--filter key=value`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filters(pub BTreeMap<String, Vec<String>>);

impl Filters {
    /// Adds a value to a key.
    pub fn add(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.entry(key.into()).or_default().push(value.into());
    }

    /// True if nothing is filtered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if `key` has been given.
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Values of a key, none if it has not been given.
    pub fn values(&self, key: &str) -> &[String] {
        self.0.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Refuses keys that are not in `accepted`, in Docker's words.
    pub(crate) fn validate(&self, accepted: &[&str]) -> Result<()> {
        match self.0.keys().find(|key| !accepted.contains(&key.as_str())) {
            Some(key) => Err(Error::InvalidParameter(format!("invalid filter '{key}'"))),
            None => Ok(()),
        }
    }

    /// True if `key` has not been given or `source` is one of its values.
    pub(crate) fn is_exactly(&self, key: &str, source: &str) -> bool {
        !self.contains(key) || self.values(key).iter().any(|value| value == source)
    }

    /// True if `key` has not been given or `source` starts with one of its values.
    pub(crate) fn is_start_of(&self, key: &str, source: &str) -> bool {
        !self.contains(key) || self.values(key).iter().any(|value| source.starts_with(value))
    }

    /// True if `key` has not been given, or `source` matches one of its values as a regular
    /// expression (or is one of them, if that is no expression).
    pub(crate) fn matches(&self, key: &str, source: &str) -> bool {
        !self.contains(key)
            || self.values(key).iter().any(|value| {
                value == source
                    || regex_lite::Regex::new(value).is_ok_and(|regex| regex.is_match(source))
            })
    }

    /// True if all values of `key` (`name` or `name=value`) are among `labels`.
    pub fn all_labels(&self, key: &str, labels: &BTreeMap<String, String>) -> bool {
        self.values(key).iter().all(|wanted| match wanted.split_once('=') {
            Some((name, value)) => labels.get(name).is_some_and(|have| have == value),
            None => labels.contains_key(wanted),
        })
    }

    /// Reads the filter `until`: a time, or a duration before now.
    ///
    /// # Errors
    /// It is neither, or there are several.
    pub fn until(&self) -> Result<Option<Timestamp>> {
        match self.values("until") {
            [] => Ok(None),
            [text] => hull_format::parse_time(text, Timestamp::now(), &TimeZone::system())
                .map(Some)
                .map_err(|error| Error::InvalidParameter(error.to_string())),
            _ => Err(Error::InvalidParameter("more than one until filter specified".into())),
        }
    }

    /// Reads a filter that is true or false.
    pub(crate) fn boolean(&self, key: &str) -> Result<Option<bool>> {
        let values = self.values(key);
        let yes = values.iter().any(|value| value == "1" || value == "true");
        let no = values.iter().any(|value| value == "0" || value == "false");
        match (values.is_empty(), yes, no) {
            (true, ..) => Ok(None),
            (_, true, false) => Ok(Some(true)),
            (_, false, true) => Ok(Some(false)),
            _ => Err(Error::InvalidParameter(format!(
                "invalid filter '{key}=[{}]'",
                values.join(" ")
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(pairs: &[(&str, &str)]) -> Filters {
        let mut filters = Filters::default();
        for (key, value) in pairs {
            filters.add(*key, *value);
        }
        filters
    }

    #[test]
    fn names_match_as_expressions_anywhere() {
        let filters = filters(&[("name", "^we"), ("name", "b1$")]);
        assert!(filters.matches("name", "web"));
        assert!(filters.matches("name", "db1"));
        assert!(!filters.matches("name", "swe"));
        assert!(filters.matches("id", "anything"));
    }

    #[test]
    fn all_labels_must_match() {
        let labels = BTreeMap::from([("a".into(), "1".into()), ("b".into(), "2=3".into())]);
        assert!(filters(&[("label", "a"), ("label", "b=2=3")]).all_labels("label", &labels));
        assert!(!filters(&[("label", "a"), ("label", "b=2")]).all_labels("label", &labels));
    }

    #[test]
    fn unknown_keys_are_named() {
        let error = filters(&[("nmae", "x")]).validate(&["name"]).unwrap_err();
        assert_eq!(error.to_string(), "invalid filter 'nmae'");
    }

    #[test]
    fn booleans_are_one_of_two() {
        assert_eq!(filters(&[("dangling", "1")]).boolean("dangling").unwrap(), Some(true));
        assert_eq!(filters(&[]).boolean("dangling").unwrap(), None);
        assert!(filters(&[("dangling", "maybe")]).boolean("dangling").is_err());
    }
}
