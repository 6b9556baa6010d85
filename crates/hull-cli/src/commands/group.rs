//! Commands below another: `hull container ls`.

use super::{Command, Found};
use crate::error::Failure;
use crate::flags::OLD_HELP;

/// A group of commands.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Names that they have here, which may differ from those at the top, in order; names that
    /// follow the first of the same command are aliases.
    pub(crate) commands: &'static [(&'static [&'static str], Member)],
}

/// What a name in a group stands for.
pub(crate) enum Member {
    Command(&'static Command),
    Group(&'static Group),
}

impl Group {
    /// Finds the command that `arguments` begin with.
    pub(super) fn find<'a>(&'static self, arguments: &'a [String]) -> Result<Found<'a>, Failure> {
        self.find_below("hull", arguments)
    }

    fn find_below<'a>(
        &'static self,
        above: &str,
        arguments: &'a [String],
    ) -> Result<Found<'a>, Failure> {
        let path = format!("{above} {}", self.name);
        let Some((name, rest)) = arguments.split_first() else {
            return Ok(Found::Unfinished(self.help(&path)));
        };
        if name == "--help" {
            return Ok(Found::Group(self.help(&path)));
        }
        if name == "-h" {
            return Ok(Found::Group(format!("{OLD_HELP}\n{}", self.help(&path))));
        }
        if name.starts_with('-') {
            let what = if name.starts_with("--") {
                format!("unknown flag: {name}")
            } else {
                let flag = name.chars().nth(1).unwrap_or('-');
                format!("unknown shorthand flag: {flag:?} in {name}")
            };
            return Err(Failure::Message {
                text: format!(
                    "{what}\n\nUsage:  {path} COMMAND\n\nRun '{path} --help' for more information"
                ),
                hint: None,
                code: 125,
            });
        }
        let member = self.commands.iter().find(|(names, _)| names.contains(&name.as_str()));
        match member {
            Some((_, Member::Command(command))) => {
                Ok(Found::Command(command, format!("{path} {name}"), rest))
            }
            Some((_, Member::Group(group))) => group.find_below(&path, rest),
            None => Err(Failure::new(format!(
                "hull: unknown command: {path} {name}\n\nUsage:  {path} COMMAND\n\n\
                 Run '{path} --help' for more information"
            ))),
        }
    }

    fn help(&self, path: &str) -> String {
        let list: String = self
            .commands
            .iter()
            .map(|(names, member)| {
                let about = match member {
                    Member::Command(command) => command.summary(),
                    Member::Group(group) => group.about,
                };
                format!("  {:<11} {about}\n", names[0])
            })
            .collect();
        format!(
            "Usage:  {path} COMMAND\n\n{}\n\nCommands:\n{list}\n\
             Run '{path} COMMAND --help' for more information on a command.\n",
            self.about
        )
    }
}
