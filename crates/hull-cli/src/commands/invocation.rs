//! A command, and one call of it.

use std::future::Future;

use crate::client::Client;
use crate::context::Context;
use crate::error::Failure;
use crate::flags::{FlagSet, Usage};

/// A command as the table of commands has it.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// Its arguments, for the help: `[OPTIONS] CONTAINER [CONTAINER...]`.
    pub(crate) arguments: &'static str,
    /// What it does; more lines after the first are in its own help only.
    pub(crate) about: &'static str,
    /// All ways to call it, if there are several.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) run: fn(&Invocation<'_>, &[String]) -> Result<(), Failure>,
}

impl Command {
    /// Returns what lists of commands say of it: the first line of what its help says.
    pub(crate) fn summary(&self) -> &'static str {
        self.about.lines().next().unwrap_or_default()
    }

    /// Runs the command, which was called `path`.
    pub(crate) fn run(
        &self,
        context: &Context,
        path: String,
        arguments: &[String],
    ) -> Result<(), Failure> {
        let usage =
            Usage { path, arguments: self.arguments, about: self.about, aliases: self.aliases };
        (self.run)(&Invocation { context, usage }, arguments)
    }
}

/// One call of a command.
pub(crate) struct Invocation<'a> {
    pub(crate) context: &'a Context,
    pub(crate) usage: Usage,
}

impl Invocation<'_> {
    /// Begins the list of the command's flags.
    pub(crate) fn flags(&self) -> FlagSet<'_> {
        FlagSet::new(&self.usage)
    }

    /// Returns the daemon.
    pub(crate) fn client(&self) -> Client<'_> {
        Client::new(self.context)
    }

    /// Runs what waits for the daemon, on this thread.
    pub(crate) fn wait_for<F>(&self, work: F) -> Result<(), Failure>
    where
        F: Future<Output = Result<(), Failure>>,
    {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let result = runtime.block_on(work);
        // Not waiting for threads that sit in a read of standard input.
        runtime.shutdown_background();
        result
    }
}
