//! The command line.

use std::path::PathBuf;

use crate::cases::{CASES, Case};

pub(crate) const USAGE: &str = "\
usage: hull-bench [OPTIONS]

  --only CASE,...  measure these cases: start, exec, concurrency, idle, stopped, running, fork,
                   files, return, network (all)
  --rounds N       rounds of each case (30)
  --quick          few rounds and few containers: does it work at all?
  --json FILE      write all figures and samples to FILE
  --compare FILE   print how figures changed since FILE was written by --json

Exit code 0: measured; 1: a case or the run failed; 2: wrong usage; 130: interrupted.
A target that was missed and a regression are reported, and are no failure.
";

const ROUNDS: usize = 30;
const QUICK_ROUNDS: usize = 3;

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Asked {
    Measure(Options),
    Help,
}

/// What to measure, and where the result goes.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) cases: Vec<&'static Case>,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    pub(crate) json: Option<PathBuf>,
    pub(crate) compare: Option<PathBuf>,
}

impl Options {
    /// Reads the arguments; the error says what is wrong with them.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Asked, String> {
        let (mut only, mut rounds, mut quick) = (None, None, false);
        let (mut json, mut compare) = (None, None);
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let (name, mut value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            if matches!(name, "-h" | "--help") {
                return Ok(Asked::Help);
            }
            if name == "--quick" && value.is_none() {
                quick = true;
                continue;
            }
            if !matches!(name, "--only" | "--rounds" | "--json" | "--compare") {
                return Err(format!("unknown argument: {argument}"));
            }
            value = value.or_else(|| arguments.next());
            let value = value.ok_or_else(|| format!("{name} needs a value"))?;
            match name {
                "--only" => only = Some(cases(&value)?),
                "--rounds" => rounds = Some(parse_rounds(&value)?),
                "--json" => json = Some(value.into()),
                _ => compare = Some(value.into()),
            }
        }
        let default = if quick { QUICK_ROUNDS } else { ROUNDS };
        Ok(Asked::Measure(Self {
            cases: only.unwrap_or_else(|| CASES.iter().collect()),
            rounds: rounds.unwrap_or(default),
            quick,
            json,
            compare,
        }))
    }
}

fn parse_rounds(value: &str) -> Result<usize, String> {
    let rounds = value.parse().ok().filter(|rounds| *rounds > 0);
    rounds.ok_or_else(|| format!("--rounds: {value:?} is no number of rounds"))
}

fn cases(list: &str) -> Result<Vec<&'static Case>, String> {
    let find = |name: &str| {
        let names = || CASES.iter().map(|case| case.name).collect::<Vec<_>>().join(", ");
        let case = CASES.iter().find(|case| case.name == name);
        case.ok_or_else(|| format!("--only: there is no case {name:?}, but {}", names()))
    };
    list.split(',').map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Asked, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[track_caller]
    fn measure(line: &str) -> Options {
        match parse(line) {
            Ok(Asked::Measure(options)) => options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn values_follow_or_are_joined() {
        let options = measure("--only exec,start --rounds=7 --json a --compare b");
        let names: Vec<_> = options.cases.iter().map(|case| case.name).collect();
        assert_eq!((names, options.rounds), (vec!["exec", "start"], 7));
        assert_eq!(options.json, Some("a".into()));
        assert_eq!(options.compare, Some("b".into()));
    }

    #[test]
    fn all_cases_are_measured_and_listed() {
        assert_eq!(measure("").cases.len(), CASES.len());
        assert_eq!(measure("--quick").rounds, QUICK_ROUNDS);
        assert_eq!(measure("--quick --rounds 4").rounds, 4);
        assert!(CASES.iter().all(|case| USAGE.contains(case.name)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, error) in [
            ("--rounds 0", "--rounds: \"0\" is no number of rounds"),
            ("--json", "--json needs a value"),
            ("--only", "--only needs a value"),
            ("--quick=yes", "unknown argument: --quick=yes"),
            ("start", "unknown argument: start"),
        ] {
            assert_eq!(parse(line).expect_err(line), error);
        }
        assert!(parse("--only x").expect_err("no case x").starts_with("--only: there is no case"));
    }
}
