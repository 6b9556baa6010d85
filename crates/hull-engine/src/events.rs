//! What happens, told to whoever listens.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{Engine, Filters, Result, error::Error};

/// One thing that happened, with the fields of Docker's events.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    pub kind: EventKind,
    /// `create`, `start`, `die`, `exec_create: sh -c ls` and so on.
    pub action: String,
    /// Id of the container, or reference or id of the image.
    pub actor: String,
    /// Container: `name`, `image`, the labels, and what the action adds (`exitCode`, `signal`).
    pub attributes: BTreeMap<String, String>,
    pub time: Timestamp,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    Container,
    Daemon,
    Image,
}

impl EventKind {
    /// Docker's name of it, for example `container`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Daemon => "daemon",
            Self::Image => "image",
        }
    }
}

/// Which events are wanted.
#[derive(Clone, Debug, Default)]
pub struct EventOptions {
    /// Also those since then that are still remembered (the last 256).
    pub since: Option<Timestamp>,
    /// The stream ends then.
    pub until: Option<Timestamp>,
    /// Keys: `container`, `event`, `image`, `label`, `type`, `scope`, `daemon`.
    pub filters: Filters,
}

/// Events as they happen.
#[derive(Debug)]
pub struct EventStream {}

impl EventStream {
    /// Returns the next event, `None` after `until` or when the engine closes.
    pub async fn next(&mut self) -> Option<Event> {
        None
    }
}

impl Engine {
    /// Subscribes to events. Nothing that happens after this call is missed, unless the listener
    /// falls more than 4096 events behind.
    ///
    /// # Errors
    /// An unknown filter.
    pub fn events(&self, options: EventOptions) -> Result<EventStream> {
        let _ = options;
        Err(Error::not_yet("events"))
    }
}
