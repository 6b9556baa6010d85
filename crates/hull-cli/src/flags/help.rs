//! The table of options in a help text, laid out and wrapped as pflag does.

use std::io::IsTerminal as _;

use super::value::Value;

/// Returns the columns that help may use: the terminal's, or 80 where there is none.
pub(crate) fn width() -> usize {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return 80;
    }
    match rustix::termios::tcgetwinsize(&stdout) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => 80,
    }
}

/// Formats one line (or more) per flag: short name, long name, value, help.
pub(crate) fn options_table<'f>(
    flags: impl Iterator<Item = (Option<char>, &'static str, &'f dyn Value, &'static str)>,
    width: usize,
) -> String {
    let mut rows: Vec<(&str, String, String)> = flags
        .map(|(short, long, value, help)| {
            let mut head = match short {
                Some(short) => format!("  -{short}, --{long}"),
                None => format!("      --{long}"),
            };
            if !value.type_name().is_empty() {
                head.push(' ');
                head.push_str(value.type_name());
            }
            let default = value.shown_default().map(|d| format!(" (default {d})"));
            (long, head, help.to_owned() + &default.unwrap_or_default())
        })
        .collect();
    rows.sort_by_key(|row| row.0);
    let column = rows.iter().map(|row| row.1.len()).max().unwrap_or(0) + 3;
    rows.iter()
        .map(|(_, head, help)| {
            let text = wrap(help, column, width.saturating_sub(1));
            format!("{head:<column$}{text}").trim_end().to_owned() + "\n"
        })
        .collect()
}

/// Breaks `text` into lines that begin at column `indent` and end before column `width`.
fn wrap(text: &str, indent: usize, width: usize) -> String {
    const NARROWEST: usize = 24;
    /// By so much the last line may be longer than the others, rather than leave one word alone.
    const SLOP: usize = 5;

    let room = width.saturating_sub(indent);
    if room < NARROWEST {
        return text.replace('\n', &format!("\n{:indent$}", ""));
    }
    let room = room - SLOP;
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = break_line(rest, room, SLOP);
        lines.extend(line.split('\n'));
        rest = after;
    }
    lines.join(&format!("\n{:indent$}", ""))
}

fn break_line(text: &str, room: usize, slop: usize) -> (&str, &str) {
    if room + slop > text.len() || !text.is_char_boundary(room) {
        return (text, "");
    }
    let Some(space) = text[..room].rfind([' ', '\t', '\n']).filter(|&at| at > 0) else {
        return (text, "");
    };
    let at = match text[..room].rfind('\n') {
        Some(newline) if newline > 0 && newline < space => newline,
        _ => space,
    };
    (&text[..at], &text[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_looks_like_dockers() {
        let text = String::new();
        let rows: Vec<(Option<char>, &str, &dyn Value, &str)> = vec![
            (Some('a'), "attach", &false, "Attach STDOUT/STDERR and forward signals"),
            (None, "detach-keys", &text, "Override the key sequence for detaching a container"),
            (Some('i'), "interactive", &false, "Attach container's STDIN"),
        ];
        let expected = [
            "  -a, --attach               Attach STDOUT/STDERR and forward signals\n",
            "      --detach-keys string   Override the key sequence for detaching a\n",
            "                             container\n",
            "  -i, --interactive          Attach container's STDIN\n",
        ]
        .concat();
        assert_eq!(options_table(rows.into_iter(), 80), expected);
    }
}
