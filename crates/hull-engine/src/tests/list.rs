use super::*;
use crate::{Filters, ListOptions};

async fn names(engine: &Engine, options: ListOptions) -> Vec<String> {
    let list = engine.list(options).await.unwrap();
    list.into_iter().map(|summary| summary.name).collect()
}

fn all(pairs: &[(&str, &str)]) -> ListOptions {
    let mut filters = Filters::default();
    for (key, value) in pairs {
        filters.add(*key, *value);
    }
    ListOptions { all: true, filters, ..ListOptions::default() }
}

#[tokio::test]
async fn filters_are_dockers() {
    let world = World::new();
    let engine = world.open().await;
    let mut labelled = config();
    labelled.labels.insert("tier".into(), "front".into());
    let made = create(&engine, "made", labelled).await;
    run(&engine, "runs").await;
    world.fake.script().exit = Some(3);
    let ended = run(&engine, "ended").await;
    wait(&engine, &ended).await;
    assert_eq!(names(&engine, ListOptions::default()).await, ["runs"]);
    let short = &made[..12];
    for (filters, wanted) in [
        (&[][..], &["ended", "runs", "made"][..]),
        (&[("name", "^r"), ("name", "ade")], &["runs", "made"]),
        (&[("name", "/runs")], &["runs"]),
        (&[("id", short)], &["made"]),
        (&[("id", "zz")], &[]),
        (&[("label", "tier")], &["made"]),
        (&[("label", "tier=back")], &[]),
        (&[("status", "exited"), ("status", "created")], &["ended", "made"]),
        (&[("exited", "3")], &["ended"]),
        (&[("exited", "0")], &[]),
        (&[("before", "ended")], &["runs", "made"]),
        (&[("since", "made")], &["ended", "runs"]),
        (&[("before", "ended"), ("since", "made")], &["runs"]),
        (&[("is-task", "true")], &[]),
        (&[("is-task", "false"), ("health", "none")], &["ended", "runs", "made"]),
        (&[("health", "healthy")], &[]),
        (&[("network", "bridge")], &["ended", "runs", "made"]),
    ] {
        assert_eq!(names(&engine, all(filters)).await, wanted, "{filters:?}");
    }
    let last = ListOptions { limit: 2, ..ListOptions::default() };
    assert_eq!(names(&engine, last).await, ["ended", "runs"]);
}

#[tokio::test]
async fn filters_that_make_no_sense_are_refused() {
    let world = World::new();
    let engine = world.open().await;
    for (key, value, message) in [
        ("nmae", "x", "invalid filter 'nmae'"),
        ("before", "nope", "No such container: nope"),
        ("publish", "1:2", "filter for 'publish' should not contain ':': 1:2"),
        (
            "status",
            "fine",
            "invalid filter 'status=fine': invalid value for state (fine): must be one of \
             created, running, paused, restarting, removing, exited, dead",
        ),
    ] {
        let error = engine.list(all(&[(key, value)])).await.unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}
