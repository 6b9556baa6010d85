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
use crate::error::Failure;

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
///
/// # Errors
/// The name is empty.
pub(super) fn path(name: &str) -> Result<String, Failure> {
    Ok(format!("/networks/{}", encode(given("network", name)?).replace('/', "%2F")))
}

/// Refuses an empty name of a `kind`, as docker's client does before it asks the daemon.
fn given<'a>(kind: &str, name: &'a str) -> Result<&'a str, Failure> {
    match name.trim() {
        "" => Err(Failure::new(format!("invalid {kind} name or ID: value is empty"))),
        _ => Ok(name),
    }
}
