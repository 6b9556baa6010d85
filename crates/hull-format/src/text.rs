//! Identifiers and commands, shortened for lists.

/// Shortens an identifier to 12 digits, without the name of its digest algorithm.
pub fn short_id(id: &str) -> &str {
    let digits = id.split_once(':').map_or(id, |(_, digits)| digits);
    digits.get(..12).unwrap_or(digits)
}

/// Shortens `text` to `width` characters, the last one an ellipsis if something is left out.
pub fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    match width {
        0 => String::new(),
        1 => text.chars().take(1).collect(),
        _ => {
            let mut short: String = text.chars().take(width - 1).collect();
            short.push('\u{2026}');
            short
        }
    }
}

/// Joins a program and its arguments as lists of containers show them: words with spaces in
/// single quotes.
pub fn command_line<S: AsRef<str>>(path: &str, args: &[S]) -> String {
    let mut line = path.to_owned();
    for arg in args {
        let arg = arg.as_ref();
        match arg.contains(' ') {
            true => line.push_str(&format!(" '{arg}'")),
            false => line.push_str(&format!(" {arg}")),
        }
    }
    line
}

/// Quotes a command for a list, shortened to 20 characters unless `whole`.
pub fn command(line: &str, whole: bool) -> String {
    let shown = match whole {
        true => line.to_owned(),
        false => ellipsis(line, 20),
    };
    crate::template::quote(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortening() {
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("short"), "short");
        for (text, width, shown) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab\u{2026}"),
            ("abcd", 1, "a"),
            ("abcd", 0, ""),
            ("\u{e9}t\u{e9}s", 4, "\u{e9}t\u{e9}s"),
            ("\u{e9}t\u{e9}s", 3, "\u{e9}t\u{2026}"),
        ] {
            assert_eq!(ellipsis(text, width), shown);
        }
    }

    #[test]
    fn commands() {
        assert_eq!(command_line("sleep", &["a b", "c"]), "sleep 'a b' c");
        let none: [&str; 0] = [];
        assert_eq!(command_line("/bin/sh", &none), "/bin/sh");
        assert_eq!(command("sleep 'a b' c", false), "\"sleep 'a b' c\"");
        assert_eq!(
            command("docker-entrypoint.sh redis-server", false),
            "\"docker-entrypoint.s\u{2026}\""
        );
        assert_eq!(command("a \"b\"\n", true), "\"a \\\"b\\\"\\n\"");
    }
}
