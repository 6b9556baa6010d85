//! The commands, one file each.

mod archive;
mod attach;
mod attachment;
mod checkpoint;
mod commit;
mod completion;
mod confirm;
mod container;
mod container_prune;
mod cp;
mod create;
mod creation;
mod daemon;
mod diff;
mod events;
mod exec;
mod export;
mod fork;
mod group;
mod history;
mod image;
mod image_name;
mod image_prune;
mod images;
mod import;
mod info;
mod inspect;
mod invocation;
mod kill;
mod list;
mod load;
mod logs;
mod man;
mod many;
mod network;
mod pause;
mod port;
mod progress;
mod pruning;
mod ps;
mod pull;
mod registry_auth;
mod rename;
mod restart;
mod rm;
mod rmi;
mod run;
mod save;
mod start;
mod stats;
mod stop;
mod summary;
mod system;
mod tag;
mod timings;
mod top;
mod unpause;
mod update;
mod version;
mod volume;
mod wait;

use std::sync::LazyLock;

use crate::cli::program;
use crate::error::Failure;

pub(crate) use group::{Group, Member};
pub(crate) use invocation::{Command, Invocation};

/// What the arguments name.
pub(crate) enum Found<'a> {
    /// A command, what it was called, and its own arguments.
    Command(&'static Command, String, &'a [String]),
    /// A group of commands: its help.
    Group(String),
    /// A group without a command: the same, as a complaint.
    Unfinished(String),
    /// The help of all.
    Overview,
    /// Nothing: the same, as a complaint.
    Nothing,
}

/// Finds the command that `arguments` begin with.
pub(crate) fn find(arguments: &[String]) -> Result<Found<'_>, Failure> {
    let Some((name, rest)) = arguments.split_first() else {
        return Ok(Found::Nothing);
    };
    if name == "help" {
        return match find(rest) {
            Ok(Found::Command(command, path, _)) => {
                Ok(Found::Command(command, path, HELP.as_slice()))
            }
            Ok(Found::Unfinished(help)) => Ok(Found::Group(help)),
            Ok(Found::Nothing) => Ok(Found::Overview),
            Ok(found) => Ok(found),
            Err(_) => Err(Failure::new(format!("unknown help topic: {}", rest.join(" ")))),
        };
    }
    if let Some(group) = GROUPS.iter().find(|group| group.name == name) {
        return group.find(rest);
    }
    match COMMON.iter().chain(OTHERS).chain(HIDDEN).find(|command| command.name == name) {
        Some(command) => Ok(Found::Command(command, format!("hull {name}"), rest)),
        // As docker's client does it.
        None if rest.iter().any(|argument| argument == "--help") => Ok(Found::Overview),
        None => Err(Failure::new(format!(
            "hull: unknown command: hull {name}\n\nRun 'hull --help' for more information"
        ))),
    }
}

/// What `help COMMAND` makes of a command.
static HELP: LazyLock<[String; 1]> = LazyLock::new(|| ["--help".to_owned()]);

/// Returns the help of `hull` itself.
pub(crate) fn overview(options: &str) -> String {
    let usage = program();
    let list = |commands: &mut dyn Iterator<Item = (&'static str, &'static str)>| {
        commands.map(|(name, about)| format!("  {name:<11} {about}\n")).collect::<String>()
    };
    let described = |command: &'static &Command| (command.name, command.summary());
    format!(
        "Usage:  {} {}\n\n{}\n\nCommon Commands:\n{}\nManagement Commands:\n{}\nCommands:\n{}\n\
         Global Options:\n{options}\nRun 'hull COMMAND --help' for more information on a command.\n",
        usage.path,
        "[OPTIONS] COMMAND",
        usage.about,
        list(&mut COMMON.iter().map(described)),
        list(&mut GROUPS.iter().map(|group| (group.name, group.about))),
        list(&mut OTHERS.iter().map(described)),
    )
}

/// All commands at the top that the help shows.
fn visible() -> impl Iterator<Item = &'static Command> {
    COMMON.iter().chain(OTHERS).copied()
}

const COMMON: &[&Command] = &[
    &run::COMMAND,
    &exec::COMMAND,
    &ps::COMMAND,
    &pull::COMMAND,
    &images::COMMAND,
    &version::COMMAND,
    &info::COMMAND,
];

const OTHERS: &[&Command] = &[
    &attach::COMMAND,
    &commit::COMMAND,
    &cp::COMMAND,
    &completion::COMMAND,
    &create::COMMAND,
    &diff::COMMAND,
    &events::COMMAND,
    &export::COMMAND,
    &fork::COMMAND,
    &history::COMMAND,
    &import::COMMAND,
    &inspect::COMMAND,
    &kill::COMMAND,
    &load::COMMAND,
    &logs::COMMAND,
    &pause::COMMAND,
    &port::COMMAND,
    &rename::COMMAND,
    &restart::COMMAND,
    &rm::COMMAND,
    &rmi::COMMAND,
    &save::COMMAND,
    &start::COMMAND,
    &stats::COMMAND,
    &stop::COMMAND,
    &tag::COMMAND,
    &top::COMMAND,
    &unpause::COMMAND,
    &update::COMMAND,
    &wait::COMMAND,
];

const GROUPS: &[&Group] = &[
    &checkpoint::GROUP,
    &container::GROUP,
    &image::GROUP,
    &network::GROUP,
    &system::GROUP,
    &volume::GROUP,
];

const HIDDEN: &[&Command] = &[&daemon::COMMAND, &man::COMMAND];
