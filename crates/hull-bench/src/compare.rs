//! How figures changed since an earlier run.

use std::fmt::Write;

use crate::document::Document;
use crate::report::Figure;

/// Figures that grew by more than this part are called regressions: less is noise.
const NOISE: f64 = 0.15;

/// Returns the change of each figure as text.
pub(crate) fn compare(earlier: &Document, now: &Document) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, earlier, now);
    text
}

fn write(text: &mut String, earlier: &Document, now: &Document) -> std::fmt::Result {
    writeln!(text, "{:52} {:>9} {:>9} {:>8}", "change", "earlier", "now", "by")?;
    let mut regressions = 0;
    for report in &now.cases {
        for figure in &report.figures {
            let name = format!("{}: {}", report.case, figure.name);
            let (value, unit) = (figure.value, figure.unit.as_str());
            let Some(before) = find(earlier, &report.case, figure) else {
                writeln!(text, "  {name:50} {:>9} {value:>9.2} {unit:3} new", "-")?;
                continue;
            };
            let change = value / before.value - 1.0;
            let regressed = change > NOISE;
            regressions += usize::from(regressed);
            let mark = if regressed { "  REGRESSION" } else { "" };
            let change = match change.is_finite() {
                true => format!("{:+.0} %", change * 100.0),
                false => "-".into(),
            };
            let before = before.value;
            writeln!(text, "  {name:50} {before:>9.2} {value:>9.2} {unit:3} {change:>6}{mark}")?;
        }
    }
    for name in missing(earlier, now) {
        writeln!(text, "  {name}: measured then, not now")?;
    }
    if (earlier.quick, earlier.rounds) != (now.quick, now.rounds) {
        let of = |run: &Document| if run.quick { " of a quick run" } else { "" };
        let (then, since) = (of(earlier), of(now));
        writeln!(text, "  note: {} rounds{then} then, {}{since} now", earlier.rounds, now.rounds)?;
    }
    if earlier.host != now.host {
        writeln!(text, "  note: another host or kernel: only ratios can be compared")?;
    }
    writeln!(text, "regressions (over {:.0} %): {regressions}", NOISE * 100.0)
}

fn find<'a>(document: &'a Document, case: &str, figure: &Figure) -> Option<&'a Figure> {
    let report = document.cases.iter().find(|report| report.case == case)?;
    report.figures.iter().find(|found| found.name == figure.name && found.unit == figure.unit)
}

/// Returns the figures of `earlier` that the same cases lack now.
fn missing(earlier: &Document, now: &Document) -> Vec<String> {
    let mut names = Vec::new();
    for report in &earlier.cases {
        if now.cases.iter().any(|found| found.case == report.case) {
            let gone = report.figures.iter().filter(|old| find(now, &report.case, old).is_none());
            names.extend(gone.map(|figure| format!("{}: {}", report.case, figure.name)));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Asked, Options};
    use crate::report::{Report, Target, Unit};

    fn document(figures: &[(&str, f64)]) -> Document {
        let Ok(Asked::Measure(options)) = Options::parse(std::iter::empty()) else {
            panic!("no arguments are right");
        };
        let mut document = Document::new(&options);
        let mut report = Report::new("start");
        for (name, value) in figures {
            report.figures.push(Figure::new(*name, *value, Unit::Ratio, Target::NONE));
        }
        document.cases.push(report);
        document
    }

    #[test]
    fn changes_are_judged() {
        let earlier = document(&[("a", 1.0), ("b", 0.2), ("c", 0.5), ("gone", 1.0), ("z", 0.0)]);
        let now = document(&[("a", 1.14), ("b", 0.24), ("c", 0.25), ("new", 3.0), ("z", 0.0)]);
        let text = compare(&earlier, &now);
        let line = |name: &str| {
            let start = format!("  start: {name}");
            let found = text.lines().find(|line| line.starts_with(&start));
            found.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("a "), "start: a 1.00 1.14 x +14 %");
        assert_eq!(line("b "), "start: b 0.20 0.24 x +20 % REGRESSION");
        assert_eq!(line("c "), "start: c 0.50 0.25 x -50 %");
        assert_eq!(line("new "), "start: new - 3.00 x new");
        assert_eq!(line("z "), "start: z 0.00 0.00 x -");
        assert_eq!(line("gone"), "start: gone: measured then, not now");
        assert!(text.ends_with("regressions (over 15 %): 1\n"), "{text}");
    }
}
