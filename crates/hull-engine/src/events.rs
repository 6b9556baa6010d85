//! What happens, told to whoever listens.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use hull_network::model::Network;
use hull_plan::MountKind;
use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::container::entry::Container;
use crate::{Engine, Filters, Result};

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
    Network,
    Volume,
}

impl EventKind {
    /// Docker's name of it, for example `container`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Daemon => "daemon",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
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
    /// Keys: `container`, `daemon`, `event`, `image`, `label`, `scope`, `type`.
    pub filters: Filters,
}

/// Events as they happen.
#[derive(Debug)]
pub struct EventStream {
    past: VecDeque<Event>,
    coming: broadcast::Receiver<Event>,
    options: EventOptions,
}

impl EventStream {
    /// Returns the next event, `None` after `until` or when the engine closes. Cancelling it loses
    /// nothing.
    pub async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.past.pop_front() {
            return Some(event);
        }
        loop {
            let received = match self.options.until {
                Some(until) => {
                    let left = until.duration_since(Timestamp::now());
                    let left = std::time::Duration::try_from(left).unwrap_or_default();
                    tokio::time::timeout(left, self.coming.recv()).await.ok()?
                }
                None => self.coming.recv().await,
            };
            match received {
                Ok(event) if includes(&self.options.filters, &event) => return Some(event),
                // As with Docker, a listener that is too slow misses events.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl Engine {
    /// Subscribes to events. Nothing that happens after this call is missed, unless the listener
    /// falls more than 4096 events behind.
    ///
    /// As with Docker, filters that it does not know say nothing.
    ///
    /// # Errors
    /// None today.
    pub fn events(&self, options: EventOptions) -> Result<EventStream> {
        Ok(self.inner.events.subscribe(options))
    }

    /// Tells of something that happened to a container.
    pub(crate) fn tell(
        &self,
        container: &Container,
        action: impl Into<String>,
        extra: &[(&str, String)],
    ) {
        let record = container.record();
        let mut attributes = record.config.labels.clone();
        for (name, value) in extra {
            attributes.insert((*name).to_owned(), value.clone());
        }
        attributes.insert("image".into(), record.config.image.clone());
        attributes.insert("name".into(), record.name.clone());
        self.inner.events.publish(Event {
            kind: EventKind::Container,
            action: action.into(),
            actor: container.id.clone(),
            attributes,
            time: Timestamp::now(),
        });
    }

    /// Tells of something that happened to a network.
    pub(crate) fn tell_network(&self, network: &Network, action: &str, extra: &[(&str, String)]) {
        let mut attributes = BTreeMap::from([
            ("name".to_owned(), network.name.clone()),
            ("type".to_owned(), network.driver.name().to_owned()),
        ]);
        attributes.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        self.inner.events.publish(Event {
            kind: EventKind::Network,
            action: action.to_owned(),
            actor: network.id.clone(),
            attributes,
            time: Timestamp::now(),
        });
    }

    /// Tells of a container that comes to all of its networks, or leaves them.
    pub(crate) fn tell_networks(&self, container: &Container, action: &str) {
        let attachments = container.attachments();
        let none = attachments.in_none.then_some("none");
        let networks = attachments.list.iter().map(|one| one.network.as_str()).chain(none);
        for network in networks.filter_map(|network| self.inner.networks.find(network).ok()) {
            self.tell_network(&network, action, &[("container", container.id.clone())]);
        }
    }

    /// Tells that what nobody uses has been removed; `reclaimed` are bytes on the host's disk.
    pub fn tell_pruned(&self, kind: EventKind, reclaimed: u64) {
        self.inner.events.publish(Event {
            kind,
            action: "prune".into(),
            actor: String::new(),
            attributes: [("reclaimed".into(), reclaimed.to_string())].into(),
            time: Timestamp::now(),
        });
    }

    /// Tells of something that happened to a volume, with what is known of it beside its driver.
    pub(crate) fn tell_volume(&self, action: &str, name: &str, extra: &[(&str, &str)]) {
        let attributes = [("driver", "local")].iter().chain(extra);
        self.inner.events.publish(Event {
            kind: EventKind::Volume,
            action: action.to_owned(),
            actor: name.to_owned(),
            attributes: attributes.map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            time: Timestamp::now(),
        });
    }

    /// Tells that the volumes of a container are mounted, or no longer.
    pub(crate) fn tell_mounts(&self, container: &Container, action: &str) {
        for point in &container.record().config.mount_points {
            if !matches!(point.kind, MountKind::Volume) {
                continue;
            }
            let mut extra = vec![("container", container.id.as_str())];
            let writable = if point.read_only { "false" } else { "true" };
            if action == "mount" {
                extra.push(("destination", &point.destination));
                extra.push(("propagation", ""));
                extra.push(("read/write", writable));
            }
            self.tell_volume(action, &point.name, &extra);
        }
    }

    /// Tells of something that happened to an image.
    pub(crate) fn tell_image(&self, action: &str, actor: &str, name: &str) {
        self.inner.events.publish(Event {
            kind: EventKind::Image,
            action: action.to_owned(),
            actor: actor.to_owned(),
            attributes: BTreeMap::from([("name".to_owned(), name.to_owned())]),
            time: Timestamp::now(),
        });
    }
}

/// Where events go.
#[derive(Debug)]
pub(crate) struct Hub {
    sender: broadcast::Sender<Event>,
    /// Held while sending, so that a new listener has every event once.
    past: Mutex<VecDeque<Event>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(BACKLOG), past: Mutex::default() }
    }
}

impl Hub {
    pub(crate) fn publish(&self, event: Event) {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        if past.len() == REMEMBERED {
            past.pop_front();
        }
        past.push_back(event.clone());
        // An error means that nobody listens.
        self.sender.send(event).ok();
    }

    fn subscribe(&self, options: EventOptions) -> EventStream {
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |event: &&Event| {
            let since = options.since.or(options.until.map(|_| Timestamp::MIN));
            since.is_some_and(|since| event.time >= since)
                && options.until.is_none_or(|until| event.time <= until)
                && includes(&options.filters, event)
        };
        EventStream {
            past: past.iter().filter(wanted).cloned().collect(),
            coming: self.sender.subscribe(),
            options,
        }
    }
}

/// As dockerd's `events.Filter`.
fn includes(filters: &Filters, event: &Event) -> bool {
    let name = event.attributes.get("name").map_or("", String::as_str);
    let action = {
        let by_prefix = ["exec_create", "exec_start", "health_status"];
        let prefix = filters.values("event").iter().any(|v| by_prefix.contains(&v.as_str()));
        if prefix {
            filters.is_start_of("event", &event.action)
        } else {
            filters.is_exactly("event", &event.action)
        }
    };
    let about =
        |key: &str| filters.is_start_of(key, &event.actor) || filters.is_start_of(key, name);
    let image = {
        let image = match event.kind {
            EventKind::Image => name,
            _ => event.attributes.get("image").map_or("", String::as_str),
        };
        [&event.actor, image, repository(&event.actor), repository(image)]
            .iter()
            .any(|candidate| filters.is_exactly("image", candidate))
    };
    action
        && image
        && about("container")
        && about("daemon")
        && about("network")
        && about("volume")
        && filters.is_exactly("type", event.kind.as_str())
        && filters.is_exactly("scope", "local")
        && filters.all_labels("label", &event.attributes)
}

/// Returns an image reference without tag and digest.
fn repository(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

const BACKLOG: usize = 4096;
const REMEMBERED: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: &str, second: i64) -> Event {
        Event {
            kind: EventKind::Container,
            action: action.into(),
            actor: "abc123".into(),
            attributes: BTreeMap::from([
                ("name".into(), "web".into()),
                ("image".into(), "localhost:5000/nginx:1".into()),
                ("tier".into(), "front".into()),
            ]),
            time: Timestamp::from_second(second).unwrap(),
        }
    }

    fn only(key: &str, value: &str) -> Filters {
        let mut filters = Filters::default();
        filters.add(key, value);
        filters
    }

    #[test]
    fn filters_are_dockers() {
        let event = event("exec_create: ls -l", 1);
        for (key, value, included) in [
            ("container", "web", true),
            ("container", "abc", true),
            ("container", "other", false),
            ("event", "exec_create", true),
            ("event", "exec_create: ls -l", true),
            ("event", "exec", false),
            ("image", "localhost:5000/nginx", true),
            ("image", "localhost:5000/nginx:1", true),
            ("image", "nginx", false),
            ("label", "tier=front", true),
            ("label", "tier=back", false),
            ("type", "container", true),
            ("type", "image", false),
        ] {
            assert_eq!(includes(&only(key, value), &event), included, "{key}={value}");
        }
    }

    #[tokio::test]
    async fn since_gives_what_is_remembered_and_then_what_comes() {
        let hub = Hub::default();
        for second in 0..300 {
            hub.publish(event("start", second));
        }
        let mut stream = hub.subscribe(EventOptions {
            since: Some(Timestamp::from_second(298).unwrap()),
            ..EventOptions::default()
        });
        hub.publish(event("die", 300));
        let mut seen = vec![];
        for _ in 0..3 {
            seen.push(stream.next().await.unwrap().time.as_second());
        }
        assert_eq!(seen, [298, 299, 300]);
    }

    #[tokio::test]
    async fn until_in_the_past_ends_the_stream() {
        let hub = Hub::default();
        hub.publish(event("start", 5));
        hub.publish(event("start", 50));
        let mut stream = hub.subscribe(EventOptions {
            until: Some(Timestamp::from_second(10).unwrap()),
            ..EventOptions::default()
        });
        assert_eq!(stream.next().await.unwrap().time.as_second(), 5);
        assert_eq!(stream.next().await, None);
    }
}
