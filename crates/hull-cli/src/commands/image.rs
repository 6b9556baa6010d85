//! `hull image`.

use super::group::{Group, Member};
use super::{images, inspect, load, pull, rmi, tag};

pub(super) const GROUP: Group = Group {
    name: "image",
    about: "Manage images",
    commands: &[
        (&["inspect"], Member::Command(&inspect::IMAGE)),
        (&["load"], Member::Command(&load::COMMAND)),
        (&["ls", "list"], Member::Command(&images::COMMAND)),
        (&["pull"], Member::Command(&pull::COMMAND)),
        (&["rm", "remove"], Member::Command(&rmi::COMMAND)),
        (&["tag"], Member::Command(&tag::COMMAND)),
    ],
};
