//! `hull system`: the daemon and the host.

mod df;
mod df_details;
mod doctor;
mod form;
mod kernel;
mod logs;
mod metrics;
mod prune;
mod service;
mod start;
mod status;
mod stop;
mod template;

use super::group::{Group, Member};
use super::{events, info, version};

pub(super) const GROUP: Group = Group {
    name: "system",
    about: "Manage Hull",
    commands: &[
        (&["df"], Member::Command(&df::COMMAND)),
        (&["doctor"], Member::Command(&doctor::COMMAND)),
        (&["events"], Member::Command(&events::COMMAND)),
        (&["info"], Member::Command(&info::COMMAND)),
        (&["kernel"], Member::Group(&kernel::GROUP)),
        (&["logs"], Member::Command(&logs::COMMAND)),
        (&["metrics"], Member::Command(&metrics::COMMAND)),
        (&["prune"], Member::Command(&prune::COMMAND)),
        (&["service"], Member::Group(&service::GROUP)),
        (&["start"], Member::Command(&start::COMMAND)),
        (&["status"], Member::Command(&status::COMMAND)),
        (&["stop"], Member::Command(&stop::COMMAND)),
        (&["template"], Member::Group(&template::GROUP)),
        (&["version"], Member::Command(&version::COMMAND)),
    ],
};
