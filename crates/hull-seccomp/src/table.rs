//! A profile resolved for one system call interface: number to decision.

use std::collections::BTreeMap;

use hull_spec::{Seccomp, Syscall, SyscallArg};

use crate::Error;
use crate::action::Action;
use crate::arch::{ARM_PRIVATE, Abi};

/// What to do with every number of one interface.
#[derive(Debug)]
pub(crate) struct Table {
    /// Ranges from 0 to `u32::MAX`, each beginning where the last one ends; equal neighbours are
    /// one range.
    pub(crate) ranges: Vec<(u32, Decision)>,
    pub(crate) wide: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Decision {
    /// The first rule whose conditions all hold decides.
    pub(crate) rules: Vec<(Vec<Condition>, Action)>,
    pub(crate) otherwise: Action,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Condition {
    pub(crate) argument: u8,
    pub(crate) test: Test,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Test {
    Equal(u64),
    NotEqual(u64),
    Less(u64),
    LessOrEqual(u64),
    GreaterOrEqual(u64),
    Greater(u64),
    Masked { mask: u64, value: u64 },
}

impl Table {
    pub(crate) fn new(profile: &Seccomp, abi: Abi) -> Result<Self, Error> {
        let default = Action::parse(&profile.default_action, profile.default_errno_ret)?;
        let mut rules: BTreeMap<u32, Vec<(Vec<Condition>, Action)>> = BTreeMap::new();
        let mut last = None;
        for rule in &profile.syscalls {
            let action = Action::parse(&rule.action, rule.errno_ret)?;
            let alternatives = alternatives(rule)?;
            for name in &rule.names {
                let number = abi.number(name);
                if let Some(number) = number {
                    if abi != Abi::Arm || number < ARM_PRIVATE {
                        last = last.max(Some(number));
                    }
                    let rules = rules.entry(number).or_default();
                    // As in runc: a rule that says what the default says is no rule.
                    if action != default {
                        rules.extend(alternatives.iter().map(|c| (c.clone(), action)));
                    }
                }
                // The arguments of a multiplexed call are in memory where no filter sees them:
                // only a rule without conditions can be carried over.
                if let Some((carrier, value)) = abi.multiplexed(name)
                    && let Some(carrier) = abi.number(carrier)
                    && action != default
                    && alternatives == [vec![]]
                {
                    let condition = Condition { argument: 0, test: Test::Equal(value.into()) };
                    rules.entry(carrier).or_default().push((vec![condition], action));
                }
            }
        }
        let beyond = Action::beyond(profile)?;
        let mut table = Self { ranges: Vec::new(), wide: abi.wide() };
        let mut next = 0;
        let constant = |otherwise| Decision { rules: vec![], otherwise };
        let first_beyond = last.map_or(0, |last| last + 1);
        for (number, rules) in rules {
            if number > next {
                // A hole, perhaps with the end of the known numbers in it.
                if next < first_beyond {
                    table.push(next, constant(default));
                }
                if number > first_beyond {
                    table.push(next.max(first_beyond), constant(beyond));
                }
            }
            table.push(number, decide(rules, default));
            next = number + 1;
        }
        if next < first_beyond {
            table.push(next, constant(default));
        }
        table.push(next.max(first_beyond), constant(beyond));
        Ok(table)
    }

    fn push(&mut self, start: u32, decision: Decision) {
        if self.ranges.last().is_none_or(|last| last.1 != decision) {
            self.ranges.push((start, decision));
        }
    }
}

/// As in libseccomp, a rule without conditions beats all that have some.
fn decide(mut rules: Vec<(Vec<Condition>, Action)>, default: Action) -> Decision {
    match rules.iter().find(|(conditions, _)| conditions.is_empty()) {
        Some((_, action)) => Decision { rules: vec![], otherwise: *action },
        None => {
            rules.dedup();
            Decision { rules, otherwise: default }
        }
    }
}

/// Returns the conditions of `rule`: one list that must hold as a whole, or, as in runc, one list
/// for each condition when two of them look at the same argument.
fn alternatives(rule: &Syscall) -> Result<Vec<Vec<Condition>>, Error> {
    let conditions: Vec<_> = rule.args.iter().map(condition).collect::<Result<_, _>>()?;
    let repeated = conditions
        .iter()
        .enumerate()
        .any(|(i, c)| conditions[..i].iter().any(|d| d.argument == c.argument));
    if repeated {
        Ok(conditions.into_iter().map(|c| vec![c]).collect())
    } else {
        Ok(vec![conditions])
    }
}

fn condition(arg: &SyscallArg) -> Result<Condition, Error> {
    let argument = match u8::try_from(arg.index) {
        Ok(index @ 0..=5) => index,
        _ => return Err(Error::ArgumentIndex(arg.index)),
    };
    let test = match arg.op.as_str() {
        "SCMP_CMP_EQ" => Test::Equal(arg.value),
        "SCMP_CMP_NE" => Test::NotEqual(arg.value),
        "SCMP_CMP_LT" => Test::Less(arg.value),
        "SCMP_CMP_LE" => Test::LessOrEqual(arg.value),
        "SCMP_CMP_GE" => Test::GreaterOrEqual(arg.value),
        "SCMP_CMP_GT" => Test::Greater(arg.value),
        "SCMP_CMP_MASKED_EQ" => Test::Masked { mask: arg.value, value: arg.value_two & arg.value },
        _ => return Err(Error::UnknownOperator(arg.op.clone())),
    };
    Ok(Condition { argument, test })
}
