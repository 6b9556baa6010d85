//! Parameters in the query of a request, read as Docker's server reads them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use hull_engine::Filters;
use jiff::Timestamp;
use serde_json::Value;

use crate::error::ApiError;

/// The query of a request. Of a parameter that is given twice, the first counts.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Returns a parameter; `None` if it is missing or empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns a switch: on for everything but nothing, `0`, `no`, `false` and `none`.
    pub(crate) fn switch(&self, name: &str) -> bool {
        let value = self.text(name).unwrap_or_default().trim().to_ascii_lowercase();
        !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        self.text(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    ApiError::bad_request(format!("invalid value {text:?} for {name:?}: no number"))
                })
            })
            .transpose()
    }

    /// Returns a point in time: seconds since 1970 with an optional fraction, or RFC 3339.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = self.text(name).filter(|&text| text != "0") else {
            return Ok(None);
        };
        parse_time(text).map(Some).ok_or_else(|| {
            ApiError::bad_request(format!("invalid value {text:?} for {name:?}: no point in time"))
        })
    }

    /// Returns the filters: a JSON object of lists or, as old clients send it, of sets.
    pub(crate) fn filters(&self) -> Result<Filters, ApiError> {
        let mut filters = Filters::default();
        let Some(text) = self.text("filters") else {
            return Ok(filters);
        };
        let wrong = |why: String| ApiError::bad_request(format!("invalid filter: {why}"));
        let object: BTreeMap<String, Value> =
            serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        for (key, values) in object {
            match values {
                Value::Array(values) => {
                    for value in values {
                        match value {
                            Value::String(value) => filters.add(&key, value),
                            other => return Err(wrong(format!("{key}: {other} is no string"))),
                        }
                    }
                }
                Value::Object(values) => {
                    for (value, set) in values {
                        if set == Value::Bool(true) {
                            filters.add(&key, value);
                        }
                    }
                }
                Value::Null => {}
                other => return Err(wrong(format!("{key}: {other} is no list"))),
            }
        }
        Ok(filters)
    }

    /// Refuses parameters that a route does not honour.
    pub(crate) fn refuse(&self, names: &[&str]) -> Result<(), ApiError> {
        match names.iter().find(|name| self.switch(name)) {
            Some(name) => Err(ApiError::bad_request(format!(
                "parameter {name} is not supported: {}",
                self.text(name).unwrap_or_default()
            ))),
            None => Ok(()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // A query is never malformed in this form: any text is a list of names and values.
        let Query(pairs) = Query::try_from_uri(&parts.uri).unwrap_or_default();
        Ok(Self(pairs))
    }
}

fn parse_time(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if let Ok(seconds) = seconds.parse::<i64>() {
        if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
        return Timestamp::new(seconds, nanoseconds).ok();
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Parameters {
        Parameters(pairs.iter().map(|&(k, v)| (k.into(), v.into())).collect())
    }

    #[test]
    fn switches_are_read_as_docker_reads_them() {
        let on = |value| query(&[("all", value)]).switch("all");
        assert!(on("1") && on("true") && on("True") && on("x"));
        assert!(!on("0") && !on("False") && !on("") && !on(" none ") && !on("no"));
    }

    #[test]
    fn filters_come_as_lists_or_sets() {
        let read = |text| query(&[("filters", text)]).filters();
        let lists = read(r#"{"status":["exited","created"],"x":null}"#).unwrap();
        let sets = read(r#"{"status":{"exited":true,"created":true,"dead":false}}"#).unwrap();
        assert_eq!(lists.values("status"), ["exited", "created"]);
        assert_eq!(sets.values("status").len(), 2);
        assert!(read("zz").is_err());
        assert!(read(r#"{"a":[1]}"#).is_err());
    }

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        let nanoseconds = |text| parse_time(text).map(Timestamp::as_nanosecond);
        assert_eq!(nanoseconds("1.5"), Some(1_500_000_000));
        assert_eq!(nanoseconds("2026-01-01T00:00:00Z").unwrap() % 1_000_000_000, 0);
        assert_eq!(nanoseconds("1.x"), None);
        assert_eq!(nanoseconds("yesterday"), None);
    }
}
