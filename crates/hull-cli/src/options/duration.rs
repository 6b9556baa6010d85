//! Durations: `--health-interval`.

use hull_format::GoDuration;

use crate::flags::Value;

impl Value for GoDuration {
    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = text.parse()?;
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "duration"
    }
}
