//! `--sysctl`.

use std::collections::BTreeMap;

use crate::flags::Value;

/// Kernel parameters that belong to a namespace of the container.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Sysctls(pub(crate) BTreeMap<String, String>);

impl Value for Sysctls {
    fn set(&mut self, text: &str) -> Result<(), String> {
        let (key, value) = hull_plan::parse_sysctl(text).map_err(|error| error.to_string())?;
        self.0.insert(key, value);
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "map"
    }

    fn shown_default(&self) -> Option<String> {
        Some("map[]".into())
    }
}
