//! `hull system template` and `hull system metrics`.

use crate::fake::{Answer, Fake};
use insta::assert_snapshot;

fn daemon() -> Fake {
    Fake::new(|request, _| match request {
        "GET /hull/templates" => Answer::Json(
            200,
            r#"[
                {"Key":"12ab34cd56ef7890aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                 "Memory":620756992,"CPUs":2,"Accelerator":"tcg","Kernel":"6.12.1 x86_64",
                 "Created":"2020-01-02T03:04:05Z","LastUsed":"2020-03-04T05:06:07Z",
                 "Size":65011712,"State":"ready"},
                {"Key":"ffffffffffff7890aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                 "Memory":0,"CPUs":0,"Accelerator":"","Kernel":"","Created":null,
                 "LastUsed":null,"Size":4096,"State":"damaged"}
            ]"#,
        ),
        "POST /hull/templates" => Answer::Json(200, r#"{"Key":"12ab34cd56ef"}"#),
        "POST /hull/templates/prune?all=1" => {
            Answer::Json(200, r#"{"TemplatesDeleted":["12ab34cd56ef"],"SpaceReclaimed":65011712}"#)
        }
        "POST /hull/templates/prune?all=0" => {
            Answer::Json(200, r#"{"TemplatesDeleted":[],"SpaceReclaimed":0}"#)
        }
        "DELETE /hull/templates/12ab" => Answer::Json(200, r#"{"Deleted":"12ab34cd56ef"}"#),
        "GET /metrics" => Answer::Json(200, "# TYPE hull_forks_total counter\n"),
        _ => Answer::Json(404, r#"{"message":"No such template: x","hint":"see the list"}"#),
    })
}

#[test]
fn lists_are_tables_templates_and_keys() {
    let daemon = daemon();
    let lists: Vec<String> = [
        &["-q"][..],
        &["--format", "{{.Key}} {{.State}} {{.Memory}} {{.Accelerator}} {{.CreatedAt}}"],
        &["--format", "table {{.Key}}\t{{.CPUs}}\t{{.Memory}}\t{{.State}}\t{{.Size}}\t{{.Kernel}}"],
        &["-q", "--no-trunc", "--format", "x"],
        &["--format", "{{.Nosuch}}"],
    ]
    .iter()
    .map(|more| daemon.hull(&[&["system", "template", "ls"], *more].concat()).shown())
    .collect();
    assert_snapshot!(lists.join("\n"));
    // Ages are another text every year.
    let table = daemon.hull(&["system", "template", "ls"]).shown();
    assert!(table.starts_with("KEY            CPUS      MEMORY    KERNEL"), "{table}");
    assert!(table.contains(" years ago") && table.contains("Never"), "{table}");
}

#[test]
fn templates_are_built_and_removed() {
    let daemon = daemon();
    let shown: Vec<String> = [
        &["build", "--memory", "1g", "--cpus", "1.5"][..],
        &["build", "--memory", "much"],
        &["build", "more"],
        &["rm", "12ab", "nosuch", "../x"],
        &["prune"],
        &["prune", "--all"],
    ]
    .iter()
    .map(|arguments| daemon.hull(&[&["system", "template"], *arguments].concat()).shown())
    .collect();
    assert_snapshot!(format!("{}\n--- asked\n{}", shown.join("\n"), daemon.asked()));
}

#[test]
fn metrics_are_printed_as_they_are() {
    assert_snapshot!(daemon().hull(&["system", "metrics"]).shown(), @r"
    # TYPE hull_forks_total counter
    --- stderr
    --- exit code 0
    ");
}
