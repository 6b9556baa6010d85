//! Words of an instruction: quotes, escapes and variables, as moby's `shell` lexer reads them.

use std::collections::BTreeMap;

/// Variables that earlier instructions have set.
pub(super) type Variables = BTreeMap<String, String>;

/// Splits a line at its spaces; quotes and backslashes keep parts together, variables are
/// replaced.
pub(super) fn words(text: &str, variables: &Variables) -> Vec<String> {
    Lexer { rest: text, variables }.read(true)
}

/// Reads a line as one word.
pub(super) fn word(text: &str, variables: &Variables) -> String {
    Lexer { rest: text, variables }.read(false).pop().unwrap_or_default()
}

struct Lexer<'a> {
    rest: &'a str,
    variables: &'a Variables,
}

impl Lexer<'_> {
    fn read(mut self, split: bool) -> Vec<String> {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut quote = None;
        while let Some(character) = self.next() {
            match (quote, character) {
                (Some(open), close) if open == close => quote = None,
                (None, '"' | '\'') => {
                    quote = Some(character);
                    word.get_or_insert_default();
                }
                (None | Some('"'), '\\') => word.get_or_insert_default().extend(self.next()),
                (None | Some('"'), '$') => {
                    let value = self.variable();
                    word.get_or_insert_default().push_str(&value);
                }
                (None, space) if split && space.is_whitespace() => words.extend(word.take()),
                (_, other) => word.get_or_insert_default().push(other),
            }
        }
        words.extend(word);
        words
    }

    fn next(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.rest = &self.rest[character.len_utf8()..];
        Some(character)
    }

    /// Reads what follows a dollar sign: `NAME`, `{NAME}`, `{NAME:-default}` or `{NAME:+other}`.
    fn variable(&mut self) -> String {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let Some(braced) = self.rest.strip_prefix('{') else {
            let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
            let (name, rest) = self.rest.split_at(end);
            self.rest = rest;
            // A dollar sign that begins no name is one.
            return if name.is_empty() { "$".into() } else { self.value(name).to_owned() };
        };
        let Some((inside, rest)) = braced.split_once('}') else {
            return "$".into();
        };
        self.rest = rest;
        let end = inside.find(|c| !is_name(c)).unwrap_or(inside.len());
        let (name, modifier) = inside.split_at(end);
        let value = self.value(name);
        let otherwise = |text| word(text, self.variables);
        match (modifier.strip_prefix(":-"), modifier.strip_prefix(":+")) {
            (Some(default), _) if value.is_empty() => otherwise(default),
            (_, Some(other)) if !value.is_empty() => otherwise(other),
            (_, Some(_)) => String::new(),
            _ => value.to_owned(),
        }
    }

    fn value(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_those_set_before() {
        let variables = Variables::from([("A".into(), "1 2".into())]);
        let read = |text| words(text, &variables).join("|");
        assert_eq!(read(r#"x$A "${A}"y '$A' \$A"#), "x1 2|1 2y|$A|$A");
        assert_eq!(read("${A:-d} ${B:-d} ${A:+o} [${B:+o}] $B- $"), "1 2|d|o|[]|-|$");
        assert_eq!(word("a b $A", &variables), "a b 1 2");
    }
}
