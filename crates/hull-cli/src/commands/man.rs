//! `hull man`: manual pages, made from the commands themselves.

use std::fs;
use std::path::Path;

use super::completion::{Page, pages};
use super::{Command, Invocation};
use crate::error::Failure;
use crate::flags::Arity;

pub(super) const COMMAND: Command = Command {
    name: "man",
    arguments: "DIRECTORY",
    about: "Write manual pages into a directory",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let operands = invocation.flags().parse(arguments, Arity::Exactly(1))?;
    let directory = Path::new(&operands[0]);
    fs::create_dir_all(directory)?;
    for page in pages(invocation.context) {
        fs::write(directory.join(format!("{}.1", title(&page))), roff(&page))?;
    }
    Ok(())
}

fn title(page: &Page) -> String {
    match page.path.as_str() {
        "" => "hull".to_owned(),
        path => format!("hull-{}", path.replace(' ', "-")),
    }
}

/// Writes a page, man(7).
fn roff(page: &Page) -> String {
    let title = title(page);
    let command = format!("hull {}", page.path);
    let mut text = format!(
        ".TH \"{}\" 1\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n.B {}\n{}\n",
        title.to_uppercase(),
        escaped(&title),
        escaped(page.about),
        escaped(command.trim_end()),
        escaped(page.arguments),
    );
    if !page.commands.is_empty() {
        text.push_str(".SH COMMANDS\n");
        for (name, about) in &page.commands {
            text.push_str(&format!(".TP\n.B {}\n{}\n", escaped(name), escaped(about)));
        }
    }
    if let Some(options) = page.help.split("\nOptions:\n").nth(1) {
        let lines: String = options.lines().map(|line| escaped(line) + "\n").collect();
        text.push_str(&format!(".SH OPTIONS\n.nf\n{lines}.fi\n"));
    }
    text
}

/// Keeps text from being read as requests and escapes.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(escaped(".x -y \\n"), "\\&.x \\-y \\en");
    }
}
