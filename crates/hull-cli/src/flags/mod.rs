//! Command line flags exactly as Docker's parser (spf13/pflag) reads them.
//!
//! Docker users and scripts rely on details that other parsers do differently: `--rm=false`,
//! `-it`, `-e=A=b`, values that begin with a dash (`--memory-swap -1`), flags that end at the first
//! argument of `run` and `exec`, and the text of the errors. A command binds each flag to a
//! variable of its own; the same list prints the help.

mod help;
mod value;

pub(crate) use self::help::{options_table, width};
pub(crate) use self::value::{Switch, Value};

use crate::error::Failure;

/// What a command is called and takes, for usage and help texts.
#[derive(Clone, Debug)]
pub(crate) struct Usage {
    /// As it was called, for example `hull container run`.
    pub(crate) path: String,
    /// Arguments after the path: `[OPTIONS] IMAGE [COMMAND] [ARG...]`.
    pub(crate) arguments: &'static str,
    pub(crate) about: &'static str,
    /// Other ways to call it, without the program's name.
    pub(crate) aliases: &'static [&'static str],
}

/// How many arguments a command takes besides flags.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arity {
    None,
    Exactly(usize),
    AtLeast(usize),
    AtMost(usize),
    Between(usize, usize),
}

/// The flags of one command, each bound to the variable that receives its value.
pub(crate) struct FlagSet<'a> {
    usage: &'a Usage,
    flags: Vec<Flag<'a>>,
    interspersed: bool,
}

impl<'a> FlagSet<'a> {
    pub(crate) fn new(usage: &'a Usage) -> Self {
        Self { usage, flags: Vec::new(), interspersed: true }
    }

    /// Ends the flags at the first argument: what follows belongs to the container's command.
    pub(crate) fn stop_at_argument(&mut self) {
        self.interspersed = false;
    }

    /// Adds a flag that has only a long name.
    pub(crate) fn long(
        &mut self,
        value: &'a mut dyn Value,
        long: &'static str,
        help: &'static str,
    ) {
        self.add(value, None, long, help, false);
    }

    /// Adds a flag that has a long and a short name.
    pub(crate) fn both(
        &mut self,
        value: &'a mut dyn Value,
        short: char,
        long: &'static str,
        help: &'static str,
    ) {
        self.add(value, Some(short), long, help, false);
    }

    /// Adds a flag that the help does not show: an old name of another one.
    pub(crate) fn hidden(&mut self, value: &'a mut dyn Value, long: &'static str) {
        self.add(value, None, long, "", true);
    }

    /// Parses `arguments` and returns those that are no flags.
    ///
    /// # Errors
    /// [`Failure::Help`] for `--help`; usage errors with Docker's text.
    pub(crate) fn parse(
        mut self,
        arguments: &[String],
        arity: Arity,
    ) -> Result<Vec<String>, Failure> {
        let operands = self.operands(arguments).map_err(|problem| match problem {
            Problem::Wrong(message) => Failure::flag(self.usage, message),
            help => Failure::Help(self.shown_help(&help)),
        })?;
        arity.check(self.usage, operands.len())?;
        Ok(operands)
    }

    /// Parses the flags before the first argument; returns that argument and what follows.
    pub(crate) fn parse_leading(mut self, arguments: &[String]) -> Result<&[String], Failure> {
        self.interspersed = false;
        let mut rest = arguments;
        match self.consume(&mut rest, &mut Vec::new()) {
            Ok(()) => Ok(rest),
            Err(Problem::Wrong(message)) => Err(Failure::flag(self.usage, message)),
            Err(help) => Err(Failure::Help(self.shown_help(&help))),
        }
    }

    fn shown_help(&self, problem: &Problem) -> String {
        match problem {
            Problem::OldHelp => format!("{OLD_HELP}\n{}", self.help()),
            _ => self.help(),
        }
    }

    fn operands(&mut self, arguments: &[String]) -> Result<Vec<String>, Problem> {
        let mut operands = Vec::new();
        let mut rest = arguments;
        self.consume(&mut rest, &mut operands)?;
        operands.extend_from_slice(rest);
        Ok(operands)
    }

    /// Takes flags from the front of `rest`, and arguments too where they may be interspersed.
    fn consume(&mut self, rest: &mut &[String], operands: &mut Vec<String>) -> Result<(), Problem> {
        while let Some((first, after)) = rest.split_first() {
            if first == "--" {
                *rest = after;
                return Ok(());
            }
            if let Some(long) = first.strip_prefix("--") {
                *rest = after;
                self.long_flag(long, rest)?;
            } else if first.len() > 1 && first.starts_with('-') {
                *rest = after;
                self.short_flags(&first[1..], rest)?;
            } else if self.interspersed {
                operands.push(first.clone());
                *rest = after;
            } else {
                return Ok(());
            }
        }
        Ok(())
    }

    fn long_flag(&mut self, text: &str, rest: &mut &[String]) -> Result<(), Problem> {
        let (name, attached) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        if name.is_empty() || name.starts_with('-') {
            return Err(Problem::Wrong(format!("bad flag syntax: --{text}")));
        }
        let Some(flag) = self.flags.iter_mut().find(|flag| flag.long == name) else {
            if name == "help" {
                return Err(Problem::Help);
            }
            return Err(Problem::Wrong(format!("unknown flag: --{name}")));
        };
        let value = match (attached, flag.value.implied(), rest.split_first()) {
            (Some(value), _, _) => value,
            (None, Some(implied), _) => implied,
            (None, None, Some((next, after))) => {
                *rest = after;
                next
            }
            (None, None, None) => {
                return Err(Problem::Wrong(format!("flag needs an argument: --{name}")));
            }
        };
        flag.set(value)
    }

    /// `text` is a cluster such as `itu0`, without its dash.
    fn short_flags(&mut self, text: &str, rest: &mut &[String]) -> Result<(), Problem> {
        let mut cluster = text;
        while let Some(short) = cluster.chars().next() {
            let after = &cluster[short.len_utf8()..];
            let Some(flag) = self.flags.iter_mut().find(|flag| flag.short == Some(short)) else {
                if short == 'h' {
                    return Err(Problem::OldHelp);
                }
                return Err(Problem::Wrong(format!(
                    "unknown shorthand flag: {short:?} in -{cluster}"
                )));
            };
            if let Some(value) = after.strip_prefix('=') {
                return flag.set(value);
            }
            if let Some(implied) = flag.value.implied() {
                flag.set(implied)?;
                cluster = after;
                continue;
            }
            if !after.is_empty() {
                return flag.set(after);
            }
            let Some((next, behind)) = rest.split_first() else {
                return Err(Problem::Wrong(format!(
                    "flag needs an argument: {short:?} in -{cluster}"
                )));
            };
            *rest = behind;
            return flag.set(next);
        }
        Ok(())
    }

    fn help(&self) -> String {
        let usage = self.usage;
        let mut text = format!("Usage:  {} {}\n\n{}\n", usage.path, usage.arguments, usage.about);
        if !usage.aliases.is_empty() {
            let aliases: Vec<String> =
                usage.aliases.iter().map(|alias| format!("hull {alias}")).collect();
            text.push_str(&format!("\nAliases:\n  {}\n", aliases.join(", ")));
        }
        let table = self.options();
        if !table.is_empty() {
            text.push_str(&format!("\nOptions:\n{table}"));
        }
        text
    }

    /// Returns the table of options as the help shows it.
    pub(crate) fn options(&self) -> String {
        options_table(
            self.flags
                .iter()
                .filter(|flag| !flag.hidden)
                .map(|flag| (flag.short, flag.long, &*flag.value, flag.help)),
            width(),
        )
    }

    fn add(
        &mut self,
        value: &'a mut dyn Value,
        short: Option<char>,
        long: &'static str,
        help: &'static str,
        hidden: bool,
    ) {
        self.flags.push(Flag { value, short, long, help, hidden });
    }
}

impl std::fmt::Debug for FlagSet<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.flags.iter().map(|flag| flag.long)).finish()
    }
}

impl Arity {
    fn check(self, usage: &Usage, count: usize) -> Result<(), Failure> {
        let plural = |n: usize| if n == 1 { "argument" } else { "arguments" };
        let what = match self {
            Self::None if count > 0 => "accepts no arguments".to_owned(),
            Self::Exactly(n) if count != n => format!("requires {n} {}", plural(n)),
            Self::AtLeast(n) if count < n => format!("requires at least {n} {}", plural(n)),
            Self::AtMost(n) if count > n => format!("requires at most {n} {}", plural(n)),
            Self::Between(least, most) if count < least || count > most => {
                format!("requires at least {least} and at most {most} {}", plural(most))
            }
            _ => return Ok(()),
        };
        Err(Failure::arity(usage, &what))
    }
}

struct Flag<'a> {
    value: &'a mut dyn Value,
    short: Option<char>,
    long: &'static str,
    help: &'static str,
    hidden: bool,
}

impl Flag<'_> {
    fn set(&mut self, value: &str) -> Result<(), Problem> {
        self.value.set(value).map_err(|reason| {
            let name = match self.short {
                Some(short) => format!("-{short}, --{}", self.long),
                None => format!("--{}", self.long),
            };
            Problem::Wrong(format!("invalid argument {value:?} for {name:?} flag: {reason}"))
        })
    }
}

/// What docker's client says of `-h`.
pub(crate) const OLD_HELP: &str = "Flag shorthand -h has been deprecated, use --help";

/// Why parsing ended early.
enum Problem {
    Help,
    /// By `-h`.
    OldHelp,
    Wrong(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage() -> Usage {
        Usage {
            path: "hull run".into(),
            arguments: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
            about: "Create and run a new container from an image",
            aliases: &["container run", "run"],
        }
    }

    #[derive(Debug, Default, PartialEq)]
    struct Parsed {
        tty: bool,
        interactive: bool,
        env: Vec<String>,
        name: Option<String>,
        timeout: Option<i64>,
        rest: Vec<String>,
    }

    fn parse(arguments: &[&str]) -> Result<Parsed, String> {
        let usage = usage();
        let mut parsed = Parsed::default();
        let mut flags = FlagSet::new(&usage);
        flags.stop_at_argument();
        flags.both(&mut parsed.tty, 't', "tty", "Allocate a pseudo-TTY");
        flags.both(&mut parsed.interactive, 'i', "interactive", "Keep STDIN open");
        flags.both(&mut parsed.env, 'e', "env", "Set environment variables");
        flags.long(&mut parsed.name, "name", "Assign a name");
        flags.long(&mut parsed.timeout, "stop-timeout", "Timeout");
        let arguments: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
        match flags.parse(&arguments, Arity::AtLeast(1)) {
            Ok(rest) => Ok(Parsed { rest, ..parsed }),
            Err(failure) => Err(failure.to_string()),
        }
    }

    #[test]
    fn clusters_attached_values_and_the_end_of_flags() {
        let parsed =
            parse(&["-it", "-eA=1", "-e=B=2", "--env=C", "--name", "-x", "img", "-t", "--", "z"])
                .unwrap();
        assert!(parsed.tty && parsed.interactive);
        assert_eq!(parsed.env, ["A=1", "B=2", "C"]);
        assert_eq!(parsed.name.as_deref(), Some("-x"));
        assert_eq!(parsed.rest, ["img", "-t", "--", "z"]);
    }

    #[test]
    fn switches_take_values_only_behind_an_equals_sign() {
        assert!(!parse(&["--tty=false", "img"]).unwrap().tty);
        assert_eq!(parse(&["-t", "false"]).unwrap().rest, ["false"]);
        assert!(!parse(&["-ti=0", "img"]).unwrap().interactive);
    }

    #[test]
    fn errors_are_worded_as_dockers() {
        let first = |arguments: &[&str]| {
            parse(arguments).unwrap_err().lines().next().unwrap_or_default().to_owned()
        };
        assert_eq!(first(&["--nosuch"]), "unknown flag: --nosuch");
        assert_eq!(first(&["-itZq"]), "unknown shorthand flag: 'Z' in -Zq");
        assert_eq!(first(&["-e"]), "flag needs an argument: 'e' in -e");
        assert_eq!(first(&["--name"]), "flag needs an argument: --name");
        assert_eq!(first(&["---x"]), "bad flag syntax: ---x");
        assert_eq!(
            first(&["-t=maybe", "x"]),
            "invalid argument \"maybe\" for \"-t, --tty\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax"
        );
        assert_eq!(
            first(&["--stop-timeout", "abc"]),
            "invalid argument \"abc\" for \"--stop-timeout\" flag: strconv.ParseInt: parsing \"abc\": invalid syntax"
        );
        assert_eq!(first(&[]), "hull: 'hull run' requires at least 1 argument");
    }
}
