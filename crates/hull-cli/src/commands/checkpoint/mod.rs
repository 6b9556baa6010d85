//! `hull checkpoint`.

mod create;
mod ls;
mod rm;

use super::group::{Group, Member};

pub(super) const GROUP: Group = Group {
    name: "checkpoint",
    about: "Manage checkpoints",
    commands: &[
        (&["create"], Member::Command(&create::COMMAND)),
        (&["ls", "list"], Member::Command(&ls::COMMAND)),
        (&["rm", "remove"], Member::Command(&rm::COMMAND)),
    ],
};

const DIRECTORY: &str = "Use a custom checkpoint storage directory";
