//! The hull command: command line, daemon and supervisor in one program.
#![deny(unsafe_code)]

mod cli;
mod client;
mod commands;
mod context;
mod copy;
mod daemon;
mod error;
mod flags;
mod options;
mod output;
mod supervisor;
mod terminal;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    // Every start of a container passes here: a supervisor needs nothing of the command line.
    if arguments.next().is_some_and(|first| first == "supervisor") {
        return supervisor::main(arguments);
    }
    cli::main()
}
