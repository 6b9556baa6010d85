//! Templates: machines that have booted and wait to be forked.

use jiff::Timestamp;

use crate::{Engine, Error, Result};

/// A template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TemplateInfo {
    /// Digest of all that it was made from, lower-case hexadecimal.
    pub key: String,
    /// Bytes of memory that its machine has.
    pub memory_bytes: u64,
    pub vcpus: u32,
    /// `kvm`, `hvf` or `tcg`.
    pub accelerator: String,
    /// Release of its kernel (`uname -r`).
    pub kernel: String,
    pub created: Timestamp,
    /// When a container was last started from it.
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
    /// Lists all templates.
    ///
    /// # Errors
    /// Their directory cannot be read.
    pub async fn templates(&self) -> Result<Vec<TemplateInfo>> {
        Ok(Vec::new())
    }

    /// Makes the template for a shape, unless it is there, and returns it.
    ///
    /// # Errors
    /// The shape makes no sense; its machine does not start or cannot be saved.
    pub async fn build_template(&self, _shape: TemplateShape) -> Result<TemplateInfo> {
        Err(Error::NotImplemented("templates are not there yet".into()))
    }

    /// Removes the template whose key begins with `key`. Containers that were started from it go
    /// on.
    ///
    /// # Errors
    /// No such template, or several.
    pub async fn remove_template(&self, key: &str) -> Result<String> {
        Err(Error::NotFound(format!("No such template: {key}")))
    }

    /// Removes the templates from which no container would be started: damaged ones, and those
    /// made from another kernel, agent or QEMU than today's; with `all`, every one.
    ///
    /// # Errors
    /// Their directory cannot be read or written.
    pub async fn prune_templates(&self, _all: bool) -> Result<PrunedTemplates> {
        Ok(PrunedTemplates::default())
    }
}
