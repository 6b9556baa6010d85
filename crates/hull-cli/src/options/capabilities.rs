//! `--cap-add` and `--cap-drop`.

use std::collections::BTreeSet;

/// Returns what is added and what is dropped, as docker's client sends it: by full names, each
/// once, in order. `ALL` stands for every other name, and what is added is not dropped.
pub(super) fn effective(add: &[String], drop: &[String]) -> (Vec<String>, Vec<String>) {
    let (add, mut drop) = (names(add), names(drop));
    drop.retain(|name| !add.contains(name));
    (add.into_iter().collect(), drop.into_iter().collect())
}

fn names(given: &[String]) -> BTreeSet<String> {
    let names: BTreeSet<String> = given.iter().map(|name| full(name)).collect();
    if names.contains(ALL) { BTreeSet::from([ALL.to_owned()]) } else { names }
}

fn full(name: &str) -> String {
    let name = name.trim().to_uppercase();
    if name == ALL || name.starts_with("CAP_") { name } else { format!("CAP_{name}") }
}

const ALL: &str = "ALL";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_full_and_in_order() {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            effective(&list(&["sys_time", "CAP_CHOWN", "chown"]), &list(&["kill", "Chown"])),
            (list(&["CAP_CHOWN", "CAP_SYS_TIME"]), list(&["CAP_KILL"]))
        );
        assert_eq!(
            effective(&list(&["net_raw"]), &list(&["all", "kill"])),
            (list(&["CAP_NET_RAW"]), list(&["ALL"]))
        );
    }
}
