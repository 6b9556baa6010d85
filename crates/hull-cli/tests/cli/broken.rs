//! A daemon that ends while it is spoken to.

use crate::fake::{Answer, Fake};
use insta::assert_snapshot;

#[test]
fn what_nobody_read_is_sent_again() {
    let daemon = Fake::that_drops(3, |_, _| Answer::Json(204, ""));
    let ran = daemon.hull(&["pause", "box"]);
    assert_snapshot!(ran.shown(), @"
    box
    --- stderr
    --- exit code 0
    ");
    assert_eq!(daemon.asked(), "POST /containers/box/pause");
}

#[test]
fn what_was_read_is_sent_again_only_if_it_changes_nothing() {
    let daemon = Fake::new(|_, _| Answer::Nothing);
    let ran = daemon.hull(&["pause", "box"]);
    assert_snapshot!(ran.shown(), @"
    --- stderr
    connection to the daemon broke: connection closed before message completed
    hint: it may have done what it was asked to do, or a part of it; `hull system logs` has what it said
    --- exit code 1
    ");
    assert_eq!(daemon.asked(), "POST /containers/box/pause");

    let daemon = Fake::new(|_, _| Answer::Nothing);
    assert!(daemon.hull(&["ps"]).shown().contains("the daemon broke"));
    assert_eq!(daemon.asked().lines().count(), 3);
}
