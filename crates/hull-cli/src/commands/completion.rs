//! `hull completion`: scripts for shells, made from the commands themselves.

use super::{Command, GROUPS, Invocation, Member, visible};
use crate::context::Context;
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "completion",
    arguments: "bash|fish|zsh",
    about: "Generate the autocompletion script for a shell",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let operands = invocation.flags().parse(arguments, Arity::Exactly(1))?;
    let pages = pages(invocation.context);
    output::print(match operands[0].as_str() {
        "bash" => bash(&pages),
        "fish" => fish(&pages),
        "zsh" => {
            format!("#compdef hull\nautoload -U +X bashcompinit && bashcompinit\n{}", bash(&pages))
        }
        shell => return Err(Failure::new(format!("Unsupported shell type {shell:?}"))),
    })
}

/// What can be typed after some words.
pub(super) struct Page {
    /// Words after `hull`, parted by spaces; empty for `hull` itself.
    pub(super) path: String,
    pub(super) about: &'static str,
    /// Names of commands below.
    pub(super) commands: Vec<(&'static str, &'static str)>,
    /// The text that `--help` prints; empty for groups.
    pub(super) help: String,
    /// Arguments, as the help has them.
    pub(super) arguments: &'static str,
}

impl Page {
    /// Returns the long flags, each with its two dashes, and whether it takes a value.
    fn flags(&self) -> Vec<(&str, bool)> {
        let options = self.help.split("\nOptions:\n").nth(1).unwrap_or_default();
        let flag = |line: &'_ str| {
            let at = line.find("--").filter(|at| *at <= 6)?;
            // Long before what else is on the line: an indented column.
            let head = line.get(at..)?.split("   ").next()?;
            let mut words = head.split(' ');
            Some((at, words.next()?.len(), words.next().is_some_and(|word| !word.is_empty())))
        };
        options
            .lines()
            .filter_map(|line| {
                flag(line).map(|(at, length, value)| (&line[at..at + length], value))
            })
            .collect()
    }
}

/// Describes all commands that the help shows.
pub(super) fn pages(context: &Context) -> Vec<Page> {
    let mut pages = vec![Page {
        path: String::new(),
        about: "Containers in virtual machines of their own",
        commands: visible()
            .map(|command| (command.name, command.about))
            .chain(GROUPS.iter().map(|group| (group.name, group.about)))
            .collect(),
        help: String::new(),
        arguments: "COMMAND",
    }];
    for command in visible() {
        pages.push(page(context, command, command.name));
    }
    for group in GROUPS {
        add_group(context, &mut pages, group, group.name);
    }
    pages
}

fn add_group(context: &Context, pages: &mut Vec<Page>, group: &super::Group, path: &str) {
    let about = |member: &Member| match member {
        Member::Command(command) => command.about,
        Member::Group(group) => group.about,
    };
    pages.push(Page {
        path: path.to_owned(),
        about: group.about,
        commands: group.commands.iter().map(|(names, member)| (names[0], about(member))).collect(),
        help: String::new(),
        arguments: "COMMAND",
    });
    for (names, member) in group.commands {
        let path = format!("{path} {}", names[0]);
        match member {
            Member::Command(command) => pages.push(page(context, command, &path)),
            Member::Group(group) => add_group(context, pages, group, &path),
        }
    }
}

fn page(context: &Context, command: &Command, path: &str) -> Page {
    // Flags are known to the command alone, and its help names them.
    let help = match command.run(context, format!("hull {path}"), &["--help".to_owned()]) {
        Err(Failure::Help(text)) => text,
        _ => String::new(),
    };
    Page {
        path: path.to_owned(),
        about: command.about,
        commands: Vec::new(),
        help,
        arguments: command.arguments,
    }
}

fn bash(pages: &[Page]) -> String {
    let mut cases = String::new();
    for page in pages {
        let flags: Vec<&str> = page.flags().into_iter().map(|(flag, _)| flag).collect();
        let valued: Vec<&str> =
            page.flags().into_iter().filter(|(_, value)| *value).map(|(flag, _)| flag).collect();
        let names: Vec<&str> = page.commands.iter().map(|(name, _)| *name).collect();
        cases.push_str(&format!(
            "        \"{}\") words=\"{}\"; flags=\"{} --help\"; valued=\" {} \"; what=\"{}\" ;;\n",
            page.path,
            names.join(" "),
            flags.join(" "),
            valued.join(" "),
            what(page),
        ));
    }
    format!(
        r#"# Completion of hull for bash.
_hull_page() {{
    case "$1" in
{cases}        *) return 1 ;;
    esac
}}

_hull() {{
    local cur prev path="" word words flags valued what
    cur=${{COMP_WORDS[COMP_CWORD]}}
    prev=${{COMP_WORDS[COMP_CWORD-1]}}
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        _hull_page "${{path:+$path }}$word" && path="${{path:+$path }}$word"
    done
    _hull_page "$path" || return
    COMPREPLY=()
    if [[ $valued == *" $prev "* ]]; then
        COMPREPLY=($(compgen -f -- "$cur"))
    elif [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$flags" -- "$cur"))
    elif [[ -n $words ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    elif [[ $what == containers ]]; then
        COMPREPLY=($(compgen -W "$(hull ps -a --format '{{{{.Names}}}}' 2>/dev/null)" -- "$cur"))
    elif [[ $what == images ]]; then
        COMPREPLY=($(compgen -W "$(hull images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' 2>/dev/null)" -- "$cur"))
    else
        COMPREPLY=($(compgen -f -- "$cur"))
    fi
}}
complete -F _hull hull
"#
    )
}

fn fish(pages: &[Page]) -> String {
    let mut script = String::from("# Completion of hull for fish.\ncomplete -c hull -f\n");
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    for page in pages {
        let condition = match page.path.as_str() {
            "" => "__fish_use_subcommand".to_owned(),
            path => {
                let words =
                    path.split(' ').map(|word| format!("__fish_seen_subcommand_from {word}"));
                words.collect::<Vec<_>>().join("; and ")
            }
        };
        let condition = quoted(&condition);
        for (name, about) in &page.commands {
            script.push_str(&format!(
                "complete -c hull -n {condition} -a {name} -d {}\n",
                quoted(about)
            ));
        }
        for (flag, value) in page.flags() {
            let flag = flag.trim_start_matches('-');
            let value = if value { " -r" } else { "" };
            script.push_str(&format!("complete -c hull -n {condition} -l {flag}{value}\n"));
        }
        match what(page) {
            "containers" => script.push_str(&format!(
                "complete -c hull -n {condition} -a '(hull ps -a --format \"{{{{.Names}}}}\" 2>/dev/null)'\n"
            )),
            "images" => script.push_str(&format!(
                "complete -c hull -n {condition} -a '(hull images --format \"{{{{.Repository}}}}:{{{{.Tag}}}}\" 2>/dev/null)'\n"
            )),
            _ => {}
        }
    }
    script
}

/// What a command's arguments name.
fn what(page: &Page) -> &'static str {
    match page.arguments {
        text if text.contains("CONTAINER") => "containers",
        text if text.contains("IMAGE") => "images",
        _ => "",
    }
}
