//! `hull network`.

mod connect;
mod create;
mod disconnect;
mod inspect;
mod list;
mod proxy;
mod prune;
mod remove;

use super::group::{Group, Member};
use crate::client::encode;

pub(super) const GROUP: Group = Group {
    name: "network",
    about: "Manage networks",
    commands: &[
        (&["connect"], Member::Command(&connect::COMMAND)),
        (&["create"], Member::Command(&create::COMMAND)),
        (&["disconnect"], Member::Command(&disconnect::COMMAND)),
        (&["inspect"], Member::Command(&inspect::COMMAND)),
        (&["ls", "list"], Member::Command(&list::COMMAND)),
        (&["proxy"], Member::Command(&proxy::COMMAND)),
        (&["prune"], Member::Command(&prune::COMMAND)),
        (&["rm", "remove"], Member::Command(&remove::COMMAND)),
    ],
};

/// Returns the path of the network `name`.
fn path(name: &str) -> String {
    format!("/networks/{}", encode(name).replace('/', "%2F"))
}
