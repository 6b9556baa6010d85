//! Templates beside Docker's client 28.2.2: `docker.json` holds what `docker inspect` says of a
//! container, and what `docker inspect --format` printed of it for many templates.

use serde::Deserialize;
use serde_json::Value;

use super::*;

#[derive(Deserialize)]
struct Oracle {
    inspect: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    stdout: String,
    error: String,
}

fn render(template: &str, data: &Data) -> Result<String, String> {
    let template = Template::parse(template).map_err(|error| error.to_string())?;
    template.execute(data).map_err(|error| error.to_string())
}

#[test]
fn templates_print_what_docker_prints() {
    let oracle: Oracle = serde_json::from_str(include_str!("docker.json")).unwrap();
    let data = Data::inspect(&oracle.inspect);
    let mut wrong = Vec::new();
    for case in &oracle.cases {
        let theirs = match case.error.as_str() {
            "" => Ok(case.stdout.strip_suffix('\n').unwrap_or(&case.stdout)),
            error => Err(error),
        };
        let ours = render(&case.template, &data);
        let same = match (&ours, theirs) {
            (Ok(ours), Ok(theirs)) => ours == theirs,
            (Err(ours), Err(theirs)) => ours == theirs,
            _ => false,
        };
        if !same && !DIFFERENT.contains(&case.template.as_str()) {
            wrong.push(format!("{:?}\n  ours   {ours:?}\n  docker {theirs:?}", case.template));
        }
    }
    assert!(wrong.is_empty(), "{}\n{} differ", wrong.join("\n"), wrong.len());
}

/// Known differences: Docker's client knows more of the types than JSON tells.
const DIFFERENT: [&str; 7] = [
    // Numbers are strings to it where it looks at JSON for a second time.
    "{{len .State.ExitCode}}",
    // Addresses in its memory.
    "{{.}}x",
    // It fills in fields that an old daemon does not send.
    "{{json .}}",
    // A type that prints itself.
    "{{.HostConfig.Ulimits}}",
    // An empty object that is a map and has the name of one that is a structure.
    "{{.HostConfig.LogConfig}}",
    // int and int64.
    "{{printf \"%s\" .HostConfig.Memory}}",
    // Without a template the client prints JSON.
    "",
];

#[test]
fn hostile_templates_end() {
    let data = Data::inspect(&serde_json::json!({"A": 1}));
    let nested = format!("{}x{}", "{{if 1}}".repeat(5000), "{{end}}".repeat(5000));
    assert!(render(&nested, &data).unwrap_err().contains("nested too deeply"));
    let parens = format!("{{{{{}1{}}}}}", "(".repeat(5000), ")".repeat(5000));
    assert!(render(&parens, &data).unwrap_err().contains("nested too deeply"));
    let endless = "{{define \"x\"}}{{template \"x\"}}{{end}}{{template \"x\"}}";
    assert!(render(endless, &data).unwrap_err().contains("maximum template depth"));
    let long = "{{range 1000}}{{range 1000}}{{printf \"%999d\" 1}}{{end}}{{end}}";
    assert!(render(long, &data).unwrap_err().contains("output is too long"));
    for text in [
        "{{",
        "{{\"",
        "{{'",
        "{{`",
        "{{/*",
        "{{-",
        "{{- -}}",
        "{{.",
        "{{$",
        "{{(",
        "{{0",
        "{{\u{e9}}}",
        "\u{e9}{{.\u{e9}",
    ] {
        let _ = render(text, &data);
    }
}

proptest::proptest! {
    /// Pieces of templates in any order end in text or in an error, never in a panic.
    #[test]
    fn any_template_ends(
        pieces in proptest::collection::vec(
            proptest::sample::select(&[
                "{{", "}}", "{{-", " -}}", ".", "A", ".L", "$", "$x", " ", "\n", ":=", "=", ",", "|", "(",
                ")", "\"a\"", "`b`", "'c'", "'", "1", "-2", "0x", "1.5e3", "if", "else", "end", "range",
                "with", "break", "define", "template", "block", "nil", "true", "index", "slice", "len",
                "printf", "\"%5.3d%q%x\"", "eq", "lt", "and", "join", "split", "truncate", "pad",
                "title", "json", "/*", "*/", "\u{e9}", "\\", "#", "html",
            ][..]),
            0..25,
        ),
        inside in proptest::bool::ANY,
    ) {
        let data = Data::inspect(&serde_json::json!({"A": 1, "L": ["x", "\u{e9}"], "Labels": {"a": null}}));
        let text = match inside {
            true => format!("{{{{{}}}}}", pieces.join(" ")),
            false => pieces.concat(),
        };
        let _ = render(&text, &data);
    }
}
