//! How a report is printed.

use std::fmt::Write;

use crate::report::{Figure, Report, Verdict};

/// Returns a report as text: durations, figures beside their targets, what was left out.
pub(crate) fn table(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, report);
    text
}

fn write(text: &mut String, report: &Report) -> std::fmt::Result {
    if !report.samples.is_empty() {
        let (name, n) = (&report.case, "n");
        writeln!(text, "{name:34} {n:>5} {:>9} {:>9} {:>9}", "min ms", "p50 ms", "p95 ms")?;
    }
    for sample in &report.samples {
        let [min, p50, p95] = [0.0, 50.0, 95.0].map(|percent| sample.percentile(percent));
        let (name, n) = (&sample.name, sample.milliseconds.len());
        writeln!(text, "  {name:32} {n:>5} {min:9.1} {p50:9.1} {p95:9.1}")?;
    }
    if !report.figures.is_empty() {
        let figure = if report.samples.is_empty() { &report.case } else { "" };
        writeln!(text, "{figure:40} {:>13} {:>11} {:>8}", "figure", "target", "of it")?;
    }
    for figure in &report.figures {
        write_figure(text, figure)?;
    }
    for skip in &report.skipped {
        writeln!(text, "  {}: skipped: {}", skip.what, skip.reason)?;
    }
    for note in &report.notes {
        writeln!(text, "  note: {note}")?;
    }
    if let Some(reason) = &report.failed {
        writeln!(text, "  {}: FAILED: {reason}", report.case)?;
    }
    Ok(())
}

fn write_figure(text: &mut String, figure: &Figure) -> std::fmt::Result {
    let (name, unit) = (&figure.name, figure.unit.as_str());
    write!(text, "  {name:38} {:>9.2} {unit}", figure.value)?;
    if let (Some(target), Some(of_target), Some(verdict)) =
        (figure.target.target, figure.of_target, figure.verdict)
    {
        let verdict = match verdict {
            Verdict::Ok if figure.reaches_stretch() => "ok (stretch)",
            Verdict::Ok => "ok",
            Verdict::Missed => "missed",
        };
        let target = format!("<= {target}");
        let width = 15 - unit.len();
        write!(text, "{target:>width$} {of_target:>8.2}  {verdict}")?;
    }
    writeln!(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Target, Unit};
    use crate::sample::Sample;

    #[test]
    fn all_parts_are_shown() {
        let mut report = Report::new("start");
        report.samples = vec![Sample { name: "fork".into(), milliseconds: vec![50.0, 60.0, 70.0] }];
        let target = Target::at_most(0.3).stretch(0.2);
        for value in [0.15, 0.25, 0.4] {
            report.figures.push(Figure::new("fork / docker", value, Unit::Ratio, target));
        }
        report.figures.push(Figure::new("fork / runc", 2.0, Unit::Ratio, Target::NONE));
        report.skip("pool", "there is none");
        report.note("noted");
        report.failed = Some("why".into());
        let expected = "\
start                                  n    min ms    p50 ms    p95 ms
  fork                                 3      50.0      60.0      70.0
                                                figure      target    of it
  fork / docker                               0.15 x        <= 0.3     0.50  ok (stretch)
  fork / docker                               0.25 x        <= 0.3     0.83  ok
  fork / docker                               0.40 x        <= 0.3     1.33  missed
  fork / runc                                 2.00 x
  pool: skipped: there is none
  note: noted
  start: FAILED: why
";
        assert_eq!(table(&report), expected);
    }
}
