//! `hull network inspect`.

use crate::commands::Command;
use crate::commands::inspect::{self, Kind};

pub(super) const COMMAND: Command = Command {
    name: "inspect",
    arguments: "[OPTIONS] NETWORK [NETWORK...]",
    about: "Display detailed information on one or more networks",
    aliases: &[],
    run: |invocation, arguments| inspect::run(invocation, arguments, Kind::Network),
};
