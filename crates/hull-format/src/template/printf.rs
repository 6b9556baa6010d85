//! Go's `fmt`: `Sprintf`, `Sprint`, and floating point numbers.

use std::iter::Peekable;
use std::str::Chars;

use super::value::{Val, quote};

/// `fmt.Sprint`: a space between two operands when neither is a string.
pub(super) fn sprint(operands: &[Val]) -> String {
    let mut text = String::new();
    for (index, operand) in operands.iter().enumerate() {
        let is_string = |val: &Val| matches!(val, Val::Str(_));
        if index > 0 && !is_string(operand) && !is_string(&operands[index - 1]) {
            text.push(' ');
        }
        text.push_str(&operand.print());
    }
    text
}

/// `fmt.Sprintln`.
pub(super) fn sprintln(operands: &[Val]) -> String {
    let operands: Vec<_> = operands.iter().map(Val::print).collect();
    format!("{}\n", operands.join(" "))
}

/// `fmt.Sprintf`, without argument indexes.
pub(super) fn sprintf(format: &str, operands: &[Val]) -> String {
    let mut out = String::new();
    let mut operands = operands.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = chars.next_if(|c| "+-# 0".contains(*c)) {
            match flag {
                '+' => spec.plus = true,
                '-' => spec.minus = true,
                '#' => spec.sharp = true,
                ' ' => spec.space = true,
                _ => spec.zero = true,
            }
        }
        spec.width = number(&mut chars);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(number(&mut chars).unwrap_or(0));
        }
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match operands.next() {
                None => out.push_str(&format!("%!{verb}(MISSING)")),
                Some(operand) => out.push_str(&spec.format(verb, operand)),
            },
        }
    }
    let rest: Vec<_> =
        operands.map(|operand| format!("{}={}", type_name(operand), operand.print())).collect();
    if !rest.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", rest.join(", ")));
    }
    out
}

/// Go refuses a width or precision of more than 1e6; this takes that for what was meant.
fn number(chars: &mut Peekable<Chars<'_>>) -> Option<usize> {
    let mut value = None;
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        let digit = digit as usize - '0' as usize;
        value = Some((value.unwrap_or(0) * 10 + digit).min(1_000_000));
    }
    value
}

/// `%v` of a `float64`: shortest form, with an exponent from 1e6 on and below 1e-4.
pub(super) fn float(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let scientific = format!("{value:e}");
    let exponent = scientific.split_once('e').and_then(|(_, e)| e.parse().ok());
    match exponent {
        Some(-4..6) | None => value.to_string(),
        Some::<i32>(_) => go_exponent(&scientific),
    }
}

/// Go writes at least two digits and a sign in exponents.
fn go_exponent(text: &str) -> String {
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, digits) = match exponent.strip_prefix('-') {
                Some(digits) => ('-', digits),
                None => ('+', exponent),
            };
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        None => text.to_owned(),
    }
}

/// `%g` with a number of significant digits, trailing zeros left out.
pub(crate) fn significant(value: f64, digits: usize) -> String {
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return value.to_string();
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if exponent < -4 || exponent >= digits as i32 {
        return go_exponent(&format!("{}e{exponent}", trim(mantissa)));
    }
    let places = (digits as i32 - 1 - exponent).max(0) as usize;
    trim(&format!("{value:.places$}"))
}

fn type_name(value: &Val) -> &'static str {
    match value {
        Val::List(items) if items.iter().all(|item| matches!(item, Val::Str(_))) => "[]string",
        value => value.type_name(),
    }
}

#[derive(Debug, Default)]
struct Spec {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

impl Spec {
    fn format(&self, verb: char, operand: &Val) -> String {
        match (verb, operand) {
            ('T', value) => self.pad(type_name(value).to_owned(), false),
            ('v', Val::Str(text)) if self.sharp => self.pad(quote(text), false),
            ('v' | 's' | 'q' | 'x' | 'X', Val::Str(text)) => self.text(verb, text),
            ('v' | 't', Val::Bool(value)) => self.pad(value.to_string(), false),
            ('v' | 'd', Val::Int(value)) => self.integer(i128::from(*value), 10, false),
            ('v' | 'd', Val::Uint(value)) => self.integer(i128::from(*value), 10, false),
            ('b', Val::Int(value)) => self.integer((*value).into(), 2, false),
            ('o', Val::Int(value)) => self.integer((*value).into(), 8, false),
            ('x', Val::Int(value)) => self.integer((*value).into(), 16, false),
            ('X', Val::Int(value)) => self.integer((*value).into(), 16, true),
            ('c', Val::Int(value)) => {
                let c = u32::try_from(*value).ok().and_then(char::from_u32);
                self.pad(c.unwrap_or('\u{fffd}').to_string(), false)
            }
            ('q', Val::Int(value)) => {
                let c = u32::try_from(*value).ok().and_then(char::from_u32);
                self.pad(format!("'{}'", c.unwrap_or('\u{fffd}')), false)
            }
            ('v' | 'g' | 'G' | 'e' | 'E' | 'f' | 'F', Val::Float(value)) => {
                self.float(verb, *value)
            }
            (_, Val::List(items)) => {
                let items: Vec<_> = items.iter().map(|item| self.format(verb, item)).collect();
                format!("[{}]", items.join(" "))
            }
            ('v', value) => self.pad(value.print(), false),
            (_, Val::Object(object)) => {
                let fields = object.sorted();
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(key, value)| {
                        format!("{}:{}", self.text('s', key), self.format(verb, value))
                    })
                    .collect();
                format!("map[{}]", fields.join(" "))
            }
            (_, Val::Missing | Val::Null(_)) => format!("%!{verb}(<nil>)"),
            (_, value) => format!("%!{verb}({}={})", type_name(value), value.print()),
        }
    }

    fn text(&self, verb: char, text: &str) -> String {
        let cut: String = match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text.to_owned(),
        };
        let hex = |upper| {
            let bytes = cut.bytes();
            bytes
                .map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") })
                .collect::<String>()
        };
        let text = match verb {
            'q' => quote(&cut),
            'x' => hex(false),
            'X' => hex(true),
            _ => cut,
        };
        self.pad(text, false)
    }

    fn integer(&self, value: i128, radix: u32, upper: bool) -> String {
        let magnitude = value.unsigned_abs();
        let mut digits = match (radix, upper) {
            (2, _) => format!("{magnitude:b}"),
            (8, _) => format!("{magnitude:o}"),
            (16, true) => format!("{magnitude:X}"),
            (16, false) => format!("{magnitude:x}"),
            _ => magnitude.to_string(),
        };
        if let Some(precision) = self.precision {
            digits = format!("{digits:0>precision$}");
        }
        if self.sharp {
            let prefix = match (radix, upper) {
                (2, _) => "0b",
                (8, _) => "0",
                (16, true) => "0X",
                (16, false) => "0x",
                _ => "",
            };
            digits.insert_str(0, prefix);
        }
        self.pad(self.signed(value < 0, digits), self.precision.is_none())
    }

    fn float(&self, verb: char, value: f64) -> String {
        let magnitude = value.abs();
        let digits = match (verb, self.precision) {
            ('f' | 'F', precision) => format!("{magnitude:.*}", precision.unwrap_or(6)),
            ('e' | 'E', precision) => {
                go_exponent(&format!("{magnitude:.*e}", precision.unwrap_or(6)))
            }
            (_, Some(precision)) => significant(magnitude, precision.max(1)),
            _ => float(magnitude),
        };
        let digits = match verb {
            'E' | 'G' => digits.to_uppercase(),
            _ => digits,
        };
        self.pad(self.signed(value.is_sign_negative(), digits), true)
    }

    fn signed(&self, negative: bool, digits: String) -> String {
        match negative {
            true => format!("-{digits}"),
            false if self.plus => format!("+{digits}"),
            false if self.space => format!(" {digits}"),
            false => digits,
        }
    }

    fn pad(&self, text: String, number: bool) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        if self.minus {
            return text + &" ".repeat(missing);
        }
        if !self.zero {
            return " ".repeat(missing) + &text;
        }
        let sign = usize::from(number && text.starts_with(['+', '-', ' ']));
        format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn significant_digits() {
        for (value, digits, text) in [
            (1.982, 3, "1.98"),
            (1.0, 3, "1"),
            (12.0, 3, "12"),
            (999.999, 3, "1e+03"),
            (999.999, 4, "1000"),
            (0.0, 3, "0"),
            (123.45, 4, "123.5"),
        ] {
            assert_eq!(significant(value, digits), text);
        }
    }

    #[test]
    fn floats() {
        for (value, text) in [
            (1.5, "1.5"),
            (100_000.0, "100000"),
            (123_456_789.0, "1.23456789e+08"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.0, "0"),
            (-2.5e30, "-2.5e+30"),
        ] {
            assert_eq!(float(value), text);
        }
    }
}
