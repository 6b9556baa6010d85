//! `WWW-Authenticate` headers.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// One way in which a registry wants to know who asks (RFC 9110, section 11.6.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Challenge {
    /// The scheme in lower case, as `bearer`.
    pub(crate) scheme: String,
    parameters: BTreeMap<String, String>,
}

impl Challenge {
    /// All challenges of an answer, in order.
    pub(crate) fn all(headers: &HeaderMap) -> Vec<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter();
        values.filter_map(|v| v.to_str().ok()).flat_map(parse).collect()
    }

    /// A parameter by its lower-case name.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }
}

fn parse(text: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (token, after) = rest.split_at(end);
        if token.is_empty() {
            return challenges;
        }
        let Some(value) = after.trim_start().strip_prefix('=') else {
            let scheme = token.to_ascii_lowercase();
            challenges.push(Challenge { scheme, parameters: BTreeMap::new() });
            rest = after;
            continue;
        };
        let (value, after) = parse_value(value.trim_start());
        if let Some(challenge) = challenges.last_mut() {
            challenge.parameters.insert(token.to_ascii_lowercase(), value);
        }
        rest = after;
    }
}

/// A token or a quoted string, and what follows.
fn parse_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_registries_send() {
        let bearer = parse(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push",error="invalid_token""#,
        );
        assert_eq!(bearer.len(), 1);
        assert_eq!(bearer[0].scheme, "bearer");
        assert_eq!(bearer[0].parameter("realm"), Some("https://auth.docker.io/token"));
        assert_eq!(bearer[0].parameter("scope"), Some("repository:a/b:pull,push"));

        let two = parse(r#"Negotiate, BASIC realm="a \"b\" c" , charset=UTF-8"#);
        assert_eq!(two.len(), 2);
        assert_eq!(two[1].scheme, "basic");
        assert_eq!(two[1].parameter("realm"), Some("a \"b\" c"));
        assert_eq!(two[1].parameter("charset"), Some("UTF-8"));
    }

    #[test]
    fn garbage_ends() {
        for text in ["", ",,,", "=", "a=", "Bearer realm=\"open", "\"", "Bearer =x", "= = ="] {
            parse(text);
        }
    }
}
