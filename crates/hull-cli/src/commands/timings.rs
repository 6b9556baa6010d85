//! `--timings`: where the time of a start went.

use serde_json::Value;

use crate::output;

/// Prints the phases of a start to standard error: when each began and how long it took.
pub(super) fn show(header: Option<&http::HeaderValue>) {
    let phases: Value = header
        .and_then(|header| serde_json::from_slice(header.as_bytes()).ok())
        .unwrap_or_default();
    let Some(phases) = phases.as_array().filter(|phases| !phases.is_empty()) else {
        output::error("timings: the daemon has none for this start");
        return;
    };
    output::error(table(phases).trim_end());
}

fn table(phases: &[Value]) -> String {
    let milliseconds = |value: &Value| value.as_u64().unwrap_or(0) as f64 / 1000.0;
    let name = |phase: &Value| phase["Phase"].as_str().unwrap_or_default().to_owned();
    let longest = phases.iter().map(|phase| name(phase).len()).max().unwrap_or(0);
    let width = longest.max(NARROWEST) + 2;
    let mut text = format!("{:<width$}{:>10}{:>12}\n", "PHASE", "BEGIN (ms)", "TOOK (ms)");
    let mut end: f64 = 0.0;
    for phase in phases {
        let (begin, took) = (milliseconds(&phase["Begin"]), milliseconds(&phase["Duration"]));
        end = end.max(begin + took);
        text.push_str(&format!("{:<width$}{begin:>10.1}{took:>12.1}\n", name(phase)));
    }
    text + &format!("{:<width$}{:>10}{end:>12.1}\n", "total", "")
}

/// Columns that the names of phases take at least.
const NARROWEST: usize = 28;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn phases_are_a_table() {
        let phases = [
            json!({"Phase": "spawn", "Begin": 0, "Duration": 12_300}),
            json!({"Phase": "boot kernel", "Begin": 12_300, "Duration": 640_000}),
        ];
        insta::assert_snapshot!(table(&phases), @r"
        PHASE                         BEGIN (ms)   TOOK (ms)
        spawn                                0.0        12.3
        boot kernel                         12.3       640.0
        total                                          652.3
        ");
    }
}
