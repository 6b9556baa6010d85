//! What cases share: a registry, docker and runc, each started when a case first asks for it.

use std::cell::OnceCell;
use std::time::Duration;

use hull_tests::{Docker, Image, Registry};

use crate::command::{insist, timed};
use crate::failure::Failure;
use crate::hull::{Configuration, Hull, idle_arguments, start_arguments};
use crate::interrupt;
use crate::options::Options;
use crate::report::{Report, Target};
use crate::runc::Runc;

/// The surroundings of a run.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    // Docker first: it ends before the registry that it pulled from.
    docker: OnceCell<Result<Engine, String>>,
    runc: OnceCell<Result<Runc, String>>,
    registry: OnceCell<Registry>,
}

impl Bench {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            rounds: options.rounds,
            quick: options.quick,
            docker: OnceCell::new(),
            runc: OnceCell::new(),
            registry: OnceCell::new(),
        }
    }

    /// Makes a home that has busybox.
    pub(crate) fn hull(&self, configuration: Configuration) -> Result<Hull, Failure> {
        interrupt::check()?;
        Hull::new(configuration, &self.registry().name(&Image::Busybox))
    }

    /// Makes a home where no machine waits for its container, which would count as one; a home
    /// as everybody's where this build refuses that configuration, and says so in the report.
    pub(crate) fn hull_without_pool(
        &self,
        image: &str,
        report: &mut Report,
    ) -> Result<Hull, Failure> {
        interrupt::check()?;
        match Hull::new(Configuration::NoPool, image) {
            Err(Failure::Interrupted) => Err(Failure::Interrupted),
            Err(refused) => {
                report.note(format!("with the pool of this build: {}", refused.reason()));
                Hull::new(Configuration::Default, image)
            }
            made => made,
        }
    }

    /// Returns the name of busybox in the registry.
    pub(crate) fn busybox(&self) -> String {
        self.registry().name(&Image::Busybox)
    }

    /// Returns docker with busybox, or says in the report why there is none.
    pub(crate) fn docker(&self, report: &mut Report) -> Option<&Engine> {
        let started = self.docker.get_or_init(|| Engine::new(self.registry()));
        let skip = |text: &String| {
            report.skip("docker", text.lines().next().unwrap_or_default());
        };
        started.as_ref().map_err(skip).ok()
    }

    /// Returns runc, or says in the report why there is none.
    pub(crate) fn runc(&self, report: &mut Report) -> Option<&Runc> {
        let made = self.runc.get_or_init(|| Runc::new().map_err(|error| error.reason()));
        made.as_ref().inspect_err(|reason| report.skip("runc", *reason)).ok()
    }

    /// Returns `full`, or `quick` in a quick run.
    pub(crate) fn scaled<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Returns the target of a figure whose numbers are scaled: a quick run says nothing about it.
    pub(crate) fn scaled_target(&self, target: Target) -> Target {
        self.scaled(target, Target::NONE)
    }

    fn registry(&self) -> &Registry {
        self.registry.get_or_init(|| Registry::with_images(&[Image::Busybox]))
    }
}

/// Docker with an image.
#[derive(Debug)]
pub(crate) struct Engine {
    docker: Docker,
    image: String,
}

impl Engine {
    fn new(registry: &Registry) -> Result<Self, String> {
        let docker = Docker::start()?;
        docker.pull(registry, &[Image::Busybox]);
        Ok(Self { docker, image: registry.name(&Image::Busybox) })
    }

    /// Returns the command whose time is the latency of a start.
    pub(crate) fn start_command(&self) -> std::process::Command {
        self.docker.command(&start_arguments(&self.image))
    }

    /// Takes the time of a start.
    pub(crate) fn start(&self) -> Result<Duration, Failure> {
        Ok(timed(&mut self.start_command())?.took)
    }

    /// Starts an idle container that is gone with the returned value.
    pub(crate) fn idle(&self, name: &'static str) -> Result<Idle<'_>, Failure> {
        timed(&mut self.docker.command(&idle_arguments(name, &self.image)))?;
        Ok(Idle { docker: &self.docker, name })
    }
}

/// An idle container of docker.
#[derive(Debug)]
pub(crate) struct Idle<'a> {
    docker: &'a Docker,
    name: &'static str,
}

impl Idle<'_> {
    /// Takes the time of `docker exec NAME true`.
    pub(crate) fn exec(&self) -> Result<Duration, Failure> {
        Ok(timed(&mut self.docker.command(&["exec", self.name, "true"]))?.took)
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        // If it fails, the engine's end ends the container.
        let _ = insist(&mut self.docker.command(&["rm", "-f", self.name]));
    }
}
