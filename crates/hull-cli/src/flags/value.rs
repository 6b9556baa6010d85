//! What a flag's text is turned into.

/// A variable that a flag sets.
pub(crate) trait Value {
    /// Takes one occurrence of the flag. The error is a short reason, as Docker words it.
    fn set(&mut self, text: &str) -> Result<(), String>;

    /// What the help calls the value; empty for switches.
    fn type_name(&self) -> &'static str;

    /// The value of the flag when it stands alone; `None` where a value must follow.
    fn implied(&self) -> Option<&'static str> {
        None
    }

    /// The default, as the help shows it; `None` for a zero value.
    fn shown_default(&self) -> Option<String> {
        None
    }
}

/// A switch that is on unless it is switched off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Switch(pub(crate) bool);

impl Value for Switch {
    fn set(&mut self, text: &str) -> Result<(), String> {
        self.0.set(text)
    }

    fn type_name(&self) -> &'static str {
        ""
    }

    fn implied(&self) -> Option<&'static str> {
        Some("true")
    }

    fn shown_default(&self) -> Option<String> {
        self.0.then(|| "true".to_owned())
    }
}

impl Value for bool {
    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
            "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
            _ => {
                return Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax"));
            }
        };
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        ""
    }

    fn implied(&self) -> Option<&'static str> {
        Some("true")
    }
}

impl Value for String {
    fn set(&mut self, text: &str) -> Result<(), String> {
        text.clone_into(self);
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "string"
    }

    fn shown_default(&self) -> Option<String> {
        (!self.is_empty()).then(|| format!("{self:?}"))
    }
}

impl Value for Option<bool> {
    fn set(&mut self, text: &str) -> Result<(), String> {
        let mut value = false;
        value.set(text)?;
        *self = Some(value);
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        ""
    }

    fn implied(&self) -> Option<&'static str> {
        Some("true")
    }
}

impl Value for Option<String> {
    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = Some(text.to_owned());
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "string"
    }
}

impl Value for Vec<String> {
    fn set(&mut self, text: &str) -> Result<(), String> {
        self.push(text.to_owned());
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "list"
    }
}

impl Value for i64 {
    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = integer(text)?;
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "int"
    }

    fn shown_default(&self) -> Option<String> {
        (*self != 0).then(|| self.to_string())
    }
}

impl Value for Option<i64> {
    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = Some(integer(text)?);
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "int"
    }
}

/// Reads an integer as Go's `strconv.ParseInt(text, 0, 64)` does, prefixes and underscores apart.
fn integer(text: &str) -> Result<i64, String> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    let wrong = |why: &str| format!("strconv.ParseInt: parsing {text:?}: {why}");
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(wrong("invalid syntax"));
    }
    let magnitude = i128::from_str_radix(digits, radix).map_err(|_| wrong("value out of range"))?;
    i64::try_from(if negative { -magnitude } else { magnitude })
        .map_err(|_| wrong("value out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_go_reads_them() {
        assert_eq!(integer("-1"), Ok(-1));
        assert_eq!(integer("0x10"), Ok(16));
        assert_eq!(integer("010"), Ok(8));
        assert_eq!(integer("0"), Ok(0));
        assert_eq!(integer("-9223372036854775808"), Ok(i64::MIN));
        assert!(integer("").is_err());
        assert!(integer("1e3").is_err());
        assert!(integer("--1").is_err());
        assert_eq!(
            integer("9223372036854775808").unwrap_err(),
            "strconv.ParseInt: parsing \"9223372036854775808\": value out of range"
        );
    }
}
