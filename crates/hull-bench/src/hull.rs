//! Hull in a home of its own, set up in one of several ways.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use hull_tests::Home;

use crate::command::{Ran, insist, timed};
use crate::failure::Failure;
use crate::interrupt::pause;
use crate::start_mode::StartMode;

/// How long a home may take until its containers start as they should: the first one of a shape
/// boots a template, a pool is filled in the background.
const READY: Duration = Duration::from_secs(30);

/// What `config.toml` in a home says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Configuration {
    /// Nothing: the way that containers start for everybody.
    Default,
    /// Machines are forked when they are needed, none waits.
    NoPool,
    /// Every machine boots.
    NoTemplates,
}

impl Configuration {
    fn text(self) -> Option<&'static str> {
        match self {
            Self::Default => None,
            Self::NoPool => Some("[pool]\nsize = 0\n"),
            Self::NoTemplates => Some("[templates]\nenabled = false\n\n[pool]\nsize = 0\n"),
        }
    }
}

/// A home with one image. Dropping it stops everything that runs in it.
#[derive(Debug)]
pub(crate) struct Hull {
    home: Home,
    image: String,
}

impl Hull {
    /// Makes a home and pulls `image`.
    ///
    /// # Errors
    /// Among others: this build refuses the configuration.
    pub(crate) fn new(configuration: Configuration, image: &str) -> Result<Self, Failure> {
        let home = Home::new();
        if let Some(text) = configuration.text() {
            let path = home.path().join("config.toml");
            fs::write(&path, text).map_err(Failure::file("write", path))?;
        }
        let hull = Self { home, image: image.to_owned() };
        hull.run(&["pull", "-q", image])?;
        Ok(hull)
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// Runs `hull` with `arguments`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Ran, Failure> {
        timed(&mut self.home.command(arguments))
    }

    /// Returns the command whose time is the latency of a start.
    pub(crate) fn start_command(&self) -> Command {
        self.home.command(&start_arguments(&self.image))
    }

    /// Takes the time of a start, from the command line to the exit of the container's `true`.
    pub(crate) fn start(&self) -> Result<Duration, Failure> {
        Ok(timed(&mut self.start_command())?.took)
    }

    /// Starts an idle container and leaves it running.
    pub(crate) fn idle(&self, name: &str) -> Result<Ran, Failure> {
        self.run(&idle_arguments(name, &self.image))
    }

    /// Removes a container, running or not.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Failure> {
        self.run(&["rm", "-f", name]).map(drop)
    }

    /// Starts a container to see how its machine came to be; `None` if this build does not say.
    pub(crate) fn start_mode(&self) -> Result<Option<StartMode>, Failure> {
        self.idle("probe")?;
        let inspected = self.run(&["inspect", "probe"])?;
        self.remove("probe")?;
        Ok(StartMode::of_inspect(&inspected.stdout))
    }

    /// Starts containers until their machines come to be in the way that is `wanted`, or time is
    /// up; returns the last one's.
    pub(crate) fn settle(&self, wanted: StartMode) -> Result<Option<StartMode>, Failure> {
        let deadline = Instant::now() + READY;
        loop {
            let found = self.start_mode()?;
            if found.is_none() || found == Some(wanted) || Instant::now() > deadline {
                return Ok(found);
            }
            pause(Duration::from_millis(500))?;
        }
    }
}

impl Drop for Hull {
    fn drop(&mut self) {
        // The home would do it, but in our process group: a second interrupt at the terminal would
        // end that, too. If this fails, the home sees what is left, and says so.
        let _ = insist(&mut self.home.command(&["system", "stop"]));
    }
}

/// Returns the arguments of a start that is measured, the same for docker.
pub(crate) fn start_arguments(image: &str) -> [&str; 6] {
    ["run", "--rm", "--network", "none", image, "true"]
}

/// Returns the arguments that start an idle container, the same for docker. It is killed when it
/// is stopped, so that nothing waits for a `sleep` that ignores SIGTERM.
pub(crate) fn idle_arguments<'a>(name: &'a str, image: &'a str) -> [&'a str; 11] {
    let signal = "SIGKILL";
    [
        "run",
        "-d",
        "--name",
        name,
        "--network",
        "none",
        "--stop-signal",
        signal,
        image,
        "sleep",
        "100000",
    ]
}
