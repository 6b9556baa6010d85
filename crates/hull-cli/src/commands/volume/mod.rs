//! `hull volume`.

mod create;
mod ls;
mod prune;
mod rm;

use super::group::{Group, Member};
use super::inspect;

pub(super) const GROUP: Group = Group {
    name: "volume",
    about: "Manage volumes",
    commands: &[
        (&["create"], Member::Command(&create::COMMAND)),
        (&["inspect"], Member::Command(&inspect::VOLUME)),
        (&["ls", "list"], Member::Command(&ls::COMMAND)),
        (&["prune"], Member::Command(&prune::COMMAND)),
        (&["rm", "remove"], Member::Command(&rm::COMMAND)),
    ],
};
