//! `hull container`.

use super::group::{Group, Member};
use super::{
    attach, commit, container_prune, cp, create, diff, exec, export, fork, inspect, kill, logs,
    pause, port, ps, rename, restart, rm, run, start, stats, stop, top, unpause, update, wait,
};

pub(super) const GROUP: Group = Group {
    name: "container",
    about: "Manage containers",
    commands: &[
        (&["attach"], Member::Command(&attach::COMMAND)),
        (&["commit"], Member::Command(&commit::COMMAND)),
        (&["cp"], Member::Command(&cp::COMMAND)),
        (&["create"], Member::Command(&create::COMMAND)),
        (&["diff"], Member::Command(&diff::COMMAND)),
        (&["exec"], Member::Command(&exec::COMMAND)),
        (&["export"], Member::Command(&export::COMMAND)),
        (&["fork"], Member::Command(&fork::COMMAND)),
        (&["inspect"], Member::Command(&inspect::CONTAINER)),
        (&["kill"], Member::Command(&kill::COMMAND)),
        (&["logs"], Member::Command(&logs::COMMAND)),
        (&["ls", "list", "ps"], Member::Command(&ps::COMMAND)),
        (&["pause"], Member::Command(&pause::COMMAND)),
        (&["port"], Member::Command(&port::COMMAND)),
        (&["prune"], Member::Command(&container_prune::COMMAND)),
        (&["rename"], Member::Command(&rename::COMMAND)),
        (&["restart"], Member::Command(&restart::COMMAND)),
        (&["rm", "remove"], Member::Command(&rm::COMMAND)),
        (&["run"], Member::Command(&run::COMMAND)),
        (&["start"], Member::Command(&start::COMMAND)),
        (&["stats"], Member::Command(&stats::COMMAND)),
        (&["stop"], Member::Command(&stop::COMMAND)),
        (&["top"], Member::Command(&top::COMMAND)),
        (&["unpause"], Member::Command(&unpause::COMMAND)),
        (&["update"], Member::Command(&update::COMMAND)),
        (&["wait"], Member::Command(&wait::COMMAND)),
    ],
};
