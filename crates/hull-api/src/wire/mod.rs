//! Docker's JSON objects from and to the engine's types, one file per object.

mod container_config;
mod container_inspect;
mod container_summary;
mod endpoint;
mod event;
mod exec;
mod fields;
mod host_config;
mod image;
mod network;
mod networks;
mod path_stat;
mod ports;
mod progress;
mod statistics;
mod system;
mod template;
mod volume;

pub(crate) use container_config::container_config;
pub(crate) use container_inspect::{container_inspect, timings};
pub(crate) use container_summary::container_summary;
pub(crate) use event::event;
pub(crate) use exec::{exec_config, exec_inspect, exec_start};
pub(crate) use host_config::update;
pub(crate) use image::{history_step, image_inspect, image_summary, removed};
pub(crate) use networks::{connect, create_network, disconnect, network};
pub(crate) use path_stat::path_stat;
pub(crate) use progress::{loaded, pulled, pulling};
pub(crate) use statistics::statistics;
pub(crate) use system::{check, info, kernel, version};
pub(crate) use template::{template, template_shape};
pub(crate) use volume::{create_volume, volume};

use jiff::Timestamp;

/// RFC 3339 with nanoseconds, as Go prints its zero time where there is none.
fn time(time: Option<Timestamp>) -> String {
    match time {
        Some(time) => hull_format::rfc3339(time),
        None => "0001-01-01T00:00:00Z".into(),
    }
}
