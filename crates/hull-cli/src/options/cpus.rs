//! `--cpus`.

use crate::flags::Value;

/// A number of CPUs, in units of 1e-9; 0: not given.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cpus(pub(crate) i64);

impl Value for Cpus {
    fn set(&mut self, text: &str) -> Result<(), String> {
        self.0 = hull_plan::parse_nano_cpus(text).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "decimal"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        let read = |text| {
            let mut cpus = Cpus::default();
            cpus.set(text).map(|()| cpus.0)
        };
        assert_eq!(read("1.5"), Ok(1_500_000_000));
        assert_eq!(read(".25"), Ok(250_000_000));
        assert_eq!(read("2"), Ok(2_000_000_000));
        assert_eq!(read("0.1000000000"), Ok(100_000_000));
        assert_eq!(read("-1"), Ok(-1_000_000_000));
        assert_eq!(read("0.0000000001").unwrap_err(), "value is too precise");
        for wrong in ["abc", "", ".", "1e3x", "1.2.3"] {
            assert_eq!(
                read(wrong).unwrap_err(),
                format!("failed to parse {wrong} as a rational number")
            );
        }
    }
}
