//! `hull container`.

use super::group::{Group, Member};
use super::{
    attach, create, exec, fork, inspect, kill, logs, pause, ps, rename, restart, rm, run, start,
    stop, top, unpause, wait,
};

pub(super) const GROUP: Group = Group {
    name: "container",
    about: "Manage containers",
    commands: &[
        (&["attach"], Member::Command(&attach::COMMAND)),
        (&["create"], Member::Command(&create::COMMAND)),
        (&["exec"], Member::Command(&exec::COMMAND)),
        (&["fork"], Member::Command(&fork::COMMAND)),
        (&["inspect"], Member::Command(&inspect::CONTAINER)),
        (&["kill"], Member::Command(&kill::COMMAND)),
        (&["logs"], Member::Command(&logs::COMMAND)),
        (&["ls", "list", "ps"], Member::Command(&ps::COMMAND)),
        (&["pause"], Member::Command(&pause::COMMAND)),
        (&["rename"], Member::Command(&rename::COMMAND)),
        (&["restart"], Member::Command(&restart::COMMAND)),
        (&["rm", "remove"], Member::Command(&rm::COMMAND)),
        (&["run"], Member::Command(&run::COMMAND)),
        (&["start"], Member::Command(&start::COMMAND)),
        (&["stop"], Member::Command(&stop::COMMAND)),
        (&["top"], Member::Command(&top::COMMAND)),
        (&["unpause"], Member::Command(&unpause::COMMAND)),
        (&["wait"], Member::Command(&wait::COMMAND)),
    ],
};
