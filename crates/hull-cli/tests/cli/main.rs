//! The command line as its users see it, against a daemon that gives canned answers.

#![expect(clippy::unwrap_used, reason = "what goes wrong in a helper fails its test")]

mod broken;
mod commands;
mod completion;
mod daemon;
mod fake;
mod run;
mod templates;
