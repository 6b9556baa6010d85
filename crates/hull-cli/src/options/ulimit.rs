//! `--ulimit`.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::flags::Value;

/// Limits by name: soft and hard; -1 is unlimited.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ulimits(BTreeMap<String, (i64, i64)>);

impl Ulimits {
    /// Returns the limits as the API has them.
    pub(crate) fn json(&self) -> Json {
        self.0
            .iter()
            .map(|(name, (soft, hard))| json!({"Name": name, "Hard": hard, "Soft": soft}))
            .collect()
    }
}

impl Value for Ulimits {
    fn set(&mut self, text: &str) -> Result<(), String> {
        let (name, limits) =
            text.split_once('=').ok_or_else(|| format!("invalid ulimit argument: {text}"))?;
        if !NAMES.contains(&name) {
            return Err(format!("invalid ulimit type: {name}"));
        }
        let number = |text: &str| -> Result<i64, String> {
            text.parse().map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
        };
        let (soft, hard) = match limits.split(':').collect::<Vec<_>>()[..] {
            [both] => (number(both)?, number(both)?),
            [soft, hard] => (number(soft)?, number(hard)?),
            _ => {
                return Err(format!(
                    "too many limit value arguments - {limits}, can only have up to two, \
                     `soft[:hard]`"
                ));
            }
        };
        let rule = "ulimit soft limit must be less than or equal to hard limit:";
        if hard != -1 && soft == -1 {
            return Err(format!("{rule} soft: -1 (unlimited), hard: {hard}"));
        }
        if hard != -1 && soft > hard {
            return Err(format!("{rule} {soft} > {hard}"));
        }
        self.0.insert(name.to_owned(), (soft, hard));
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "ulimit"
    }

    fn shown_default(&self) -> Option<String> {
        Some("[]".into())
    }
}

const NAMES: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Result<Json, String> {
        let mut limits = Ulimits::default();
        limits.set(text).map(|()| limits.json())
    }

    #[test]
    fn limits_are_read_as_docker_reads_them() {
        let limit = |soft: i64, hard: i64| json!([{"Name": "nofile", "Hard": hard, "Soft": soft}]);
        assert_eq!(set("nofile=5").unwrap(), limit(5, 5));
        assert_eq!(set("nofile=5:-1").unwrap(), limit(5, -1));
        assert_eq!(set("foo=1").unwrap_err(), "invalid ulimit type: foo");
        assert_eq!(set("nofile").unwrap_err(), "invalid ulimit argument: nofile");
        assert_eq!(
            set("nofile=5:1").unwrap_err(),
            "ulimit soft limit must be less than or equal to hard limit: 5 > 1"
        );
        assert!(set("nofile=-1:5").is_err());
        assert!(set("nofile=1:2:3").is_err());
        assert!(set("nofile=x").is_err());
    }
}
