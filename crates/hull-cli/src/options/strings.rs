//! Flags with several values in one, between commas.

use crate::flags::Value;

/// Texts; each time that the flag is given adds those between its commas.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Strings(pub(crate) Vec<String>);

impl Value for Strings {
    fn set(&mut self, text: &str) -> Result<(), String> {
        if !text.is_empty() {
            self.0.extend(text.split(',').map(str::to_owned));
        }
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "strings"
    }
}
