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
mod network;
mod options;
mod output;
mod supervisor;
mod terminal;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    // Every start of a container passes here: these need nothing of the command line.
    match arguments.next().as_ref().and_then(|first| first.to_str()) {
        Some("network-door") => network::door(arguments),
        Some("network-service") => network::service(arguments),
        Some("supervisor") => supervisor::main(arguments),
        _ => cli::main(),
    }
}
