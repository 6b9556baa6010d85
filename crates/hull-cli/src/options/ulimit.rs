//! `--ulimit`.

use std::collections::BTreeMap;

use hull_plan::Ulimit;
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
        let limit: Ulimit = text.parse().map_err(|error: hull_plan::Error| error.to_string())?;
        self.0.insert(limit.name, (limit.soft, limit.hard));
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "ulimit"
    }

    fn shown_default(&self) -> Option<String> {
        Some("[]".into())
    }
}

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
