//! Templates: machines that have booted and wait to be forked.

use std::io;
use std::time::Instant;

use hull_plan::ContainerConfig;
use hull_supervisor::launch::{MachineLaunch, TemplatesLaunch};
use hull_supervisor::{Failure, shape};
use hull_template::{Key, Recipe, Templates};
use hull_vmm::Shape;
use jiff::Timestamp;

use crate::kernel::blocking;
use crate::{Engine, Error, Result, host};

/// A template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TemplateInfo {
    /// Digest of all that it was made from, lower-case hexadecimal.
    pub key: String,
    /// Bytes of memory that its machine has; this and what follows is nothing if it is not ready.
    pub memory_bytes: u64,
    pub vcpus: u32,
    /// `kvm`, `hvf` or `tcg`.
    pub accelerator: String,
    /// `uname -r` and `uname -m` of its guest.
    pub kernel: String,
    pub created: Option<Timestamp>,
    /// When a machine was last made from it.
    pub last_used: Option<Timestamp>,
    /// Bytes that it takes on disk.
    pub size_bytes: u64,
    pub state: TemplateState,
}

/// Whether a template can be forked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TemplateState {
    Building,
    Damaged,
    Ready,
}

impl TemplateState {
    /// `building`, `damaged` or `ready`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Damaged => "damaged",
            Self::Ready => "ready",
        }
    }
}

/// Machine to make a template of; `None`: as a container gets it that does not say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TemplateShape {
    /// Memory limit of the containers in bytes.
    pub memory: Option<i64>,
    /// CPUs of the containers in units of 1e-9.
    pub nano_cpus: Option<i64>,
}

/// Templates that have been removed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PrunedTemplates {
    pub keys: Vec<String>,
    /// Bytes that they took on disk.
    pub reclaimed: u64,
}

impl Engine {
    /// Lists all templates, the most recently used first.
    ///
    /// # Errors
    /// Their directory cannot be read.
    pub async fn templates(&self) -> Result<Vec<TemplateInfo>> {
        Ok(self.stored_templates().await?.into_iter().map(described).collect())
    }

    /// Makes the template for a shape, unless it is there, and returns it.
    ///
    /// # Errors
    /// The shape makes no sense; templates are switched off; the machine does not start or cannot
    /// be saved.
    pub async fn build_template(&self, shape: TemplateShape) -> Result<TemplateInfo> {
        let host = host::plan_host();
        let mut config = ContainerConfig::default();
        config.host.memory = shape.memory.unwrap_or(0);
        config.host.nano_cpus = shape.nano_cpus.unwrap_or(0);
        hull_plan::validate(&config, &host)?;
        let machine = self.machine_for(&config.host, &host);
        let launch = self.templates_launch()?.ok_or_else(|| self.switched_off())?;
        let key = self.obtain_template(machine, launch).await?;
        let all = self.templates().await?;
        all.into_iter().find(|template| template.key == key).ok_or_else(|| Error::Internal {
            context: format!("template {key} was removed when it had just been built"),
            source: None,
        })
    }

    /// Has the template for `machine` there, and returns its key.
    pub(crate) async fn obtain_template(
        &self,
        machine: MachineLaunch,
        launch: TemplatesLaunch,
    ) -> Result<String> {
        let begin = Instant::now();
        let built = blocking(move || build(&machine, &launch)).await;
        match &built {
            Ok((_, true)) => self.inner.metrics.template_built(begin.elapsed()),
            Ok((_, false)) => {}
            Err(_) => self.inner.metrics.template_build_failed(),
        }
        built.map(|(key, _)| key)
    }

    /// Removes the template whose key begins with `key`, and returns all of that. Containers that
    /// were started from it go on.
    ///
    /// # Errors
    /// No such template, or several; it is being built.
    pub async fn remove_template(&self, key: &str) -> Result<String> {
        let none = || Error::NotFound(format!("No such template: {key}"));
        let all = self.stored_templates().await?;
        let mut matches =
            all.into_iter().filter(|info| !key.is_empty() && info.key.as_str().starts_with(key));
        let found = matches.next().ok_or_else(none)?;
        if matches.next().is_some() {
            return Err(Error::InvalidParameter(format!(
                "several templates have keys that begin with {key}"
            )));
        }
        if found.state == hull_template::State::Building {
            return Err(Error::Conflict(format!("template {} is being built", found.key.short())));
        }
        let (store, digest) = (self.template_store(), found.key.clone());
        let removed = blocking(move || store.remove(&digest).map_err(cannot("remove"))).await?;
        removed.then(|| found.key.to_string()).ok_or_else(none)
    }

    /// Removes the templates from which no container would be started: damaged ones, and those
    /// made from another kernel, agent or QEMU than today's; with `all`, every one that is not
    /// being built.
    ///
    /// # Errors
    /// Their directory cannot be read or written; it cannot be told what is of use.
    pub async fn prune_templates(&self, all: bool) -> Result<PrunedTemplates> {
        let stored = self.stored_templates().await?;
        let mut doomed = Vec::new();
        let useful = match all {
            true => None,
            false => self.useful_shape().await?,
        };
        for info in stored {
            let keep = match (&info.details, &useful) {
                _ if info.state == hull_template::State::Building => true,
                (Some(details), Some((shape, launch))) => {
                    let (vcpus, memory_mib) = (details.shape.vcpus, details.shape.memory_mib);
                    let today = Shape { vcpus, memory_mib, ..shape.clone() };
                    info.state == hull_template::State::Ready
                        && Key::of(&today, &launch.spec) == info.key
                }
                _ => false,
            };
            if !keep {
                doomed.push(info);
            }
        }
        let store = self.template_store();
        blocking(move || {
            let mut pruned = PrunedTemplates::default();
            for info in doomed {
                if store.remove(&info.key).map_err(cannot("remove"))? {
                    pruned.keys.push(info.key.to_string());
                    pruned.reclaimed += info.size;
                }
            }
            // And what builders left that were killed.
            store.evict(None).map_err(cannot("remove"))?;
            Ok(pruned)
        })
        .await
    }

    /// Returns a shape of which templates that can be used differ in their size only; `None` if
    /// there is no use for any.
    async fn useful_shape(&self) -> Result<Option<(Shape, TemplatesLaunch)>> {
        let Some(launch) = self.templates_launch()? else { return Ok(None) };
        let machine = self.machine(self.kernel_path(), 1, 0);
        let (_, shape) = shape::plan(&machine, true).await.map_err(no_machine)?;
        Ok(Some((shape, launch)))
    }

    async fn stored_templates(&self) -> Result<Vec<hull_template::Info>> {
        let store = self.template_store();
        blocking(move || store.list().map_err(cannot("list"))).await
    }

    pub(crate) fn template_store(&self) -> Templates {
        let budget = self.inner.settings.templates.max_bytes;
        Templates::new(self.inner.layout.templates(), Some(budget))
    }

    fn switched_off(&self) -> Error {
        let file = self.inner.layout.root().join("config.toml");
        Error::Unavailable {
            message: "templates are switched off".into(),
            hint: format!("remove `enabled = false` from {} and restart Hull", file.display()),
        }
    }
}

/// Builds a template unless it is there. Returns its key, and whether it is new. The machine ends
/// with the thread that calls this, at the latest.
fn build(machine: &MachineLaunch, launch: &TemplatesLaunch) -> Result<(String, bool)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::internal("cannot build a template", error))?;
    let obtained = runtime.block_on(async {
        let (qemu, shape) = shape::plan(machine, true).await.map_err(no_machine)?;
        let recipe = Recipe { shape: &shape, spec: &launch.spec };
        let store = Templates::new(&launch.dir, launch.max_bytes);
        let obtained = store.obtain(&qemu, recipe).await;
        obtained.map_err(|error| Error::internal("cannot build a template", error))
    })?;
    if let Err(error) = obtained.template.sync() {
        tracing::warn!(%error, "a new template would not survive a power cut");
    }
    Ok((obtained.template.key().to_string(), obtained.is_new))
}

fn described(info: hull_template::Info) -> TemplateInfo {
    let details = info.details.as_ref();
    let shape = details.map(|details| &details.shape);
    TemplateInfo {
        key: info.key.to_string(),
        memory_bytes: shape.map_or(0, |shape| u64::from(shape.memory_mib) << 20),
        vcpus: shape.map_or(0, |shape| shape.vcpus),
        accelerator: shape.map_or_else(String::new, |shape| shape.accelerator.name().to_owned()),
        kernel: details.and_then(|details| details.kernel.clone()).unwrap_or_default(),
        created: details.map(|details| details.created),
        last_used: details.map(|details| details.last_used),
        size_bytes: info.size,
        state: match info.state {
            hull_template::State::Building => TemplateState::Building,
            hull_template::State::Damaged => TemplateState::Damaged,
            hull_template::State::Ready => TemplateState::Ready,
        },
    }
}

fn no_machine(failure: Failure) -> Error {
    match failure.hint {
        Some(hint) => Error::Unavailable { message: failure.message, hint },
        None => Error::Internal { context: failure.message, source: None },
    }
}

fn cannot(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |error| Error::internal(format!("cannot {what} templates"), error)
}
