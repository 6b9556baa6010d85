//! `hull image`.

use super::group::{Group, Member};
use super::{history, image_prune, images, import, inspect, load, pull, rmi, save, tag};

pub(super) const GROUP: Group = Group {
    name: "image",
    about: "Manage images",
    commands: &[
        (&["history"], Member::Command(&history::COMMAND)),
        (&["import"], Member::Command(&import::COMMAND)),
        (&["inspect"], Member::Command(&inspect::IMAGE)),
        (&["load"], Member::Command(&load::COMMAND)),
        (&["ls", "list"], Member::Command(&images::COMMAND)),
        (&["prune"], Member::Command(&image_prune::COMMAND)),
        (&["pull"], Member::Command(&pull::COMMAND)),
        (&["rm", "remove"], Member::Command(&rmi::COMMAND)),
        (&["save"], Member::Command(&save::COMMAND)),
        (&["tag"], Member::Command(&tag::COMMAND)),
    ],
};
