//! Columns of `ps`, chosen by its options: procps' ps(1).

use hull_protocol::Process;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::{Error, Result};

/// What a process is seen in proportion to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) now: Timestamp,
    /// Bytes of memory that there are.
    pub(super) memory: u64,
}

/// A column, by the names that `-o` takes; the first one says what is in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    names: &'static [&'static str],
    pub(super) title: &'static str,
}

/// Reads what follows the container's name on the command line.
///
/// # Errors
/// Options that `ps` has and this has not; no column with the process's number, by which Docker
/// tells which lines are the container's.
pub(super) fn columns(arguments: &str) -> Result<Vec<Column>> {
    let refuse = || {
        Error::InvalidParameter(format!(
            "ps options {arguments:?} are not supported: there are -ef, aux, and -o with columns \
             of {}",
            COLUMNS.iter().map(|column| column.names[0]).collect::<Vec<_>>().join(", ")
        ))
    };
    let mut list = Vec::new();
    let mut layout = SHORT;
    let mut words = arguments.split_whitespace();
    while let Some(word) = words.next() {
        let (flags, is_bsd) = match word.strip_prefix('-') {
            Some(flags) => (flags, false),
            None => (word, true),
        };
        for (at, flag) in flags.char_indices() {
            match flag {
                // Which processes: all of the container are shown anyway.
                'e' | 'A' | 'd' if !is_bsd => {}
                'a' | 'g' | 'r' | 'w' | 'H' => {}
                'f' if !is_bsd => layout = FULL,
                'f' => {}
                'x' if layout == SHORT => layout = BSD,
                'x' => {}
                // `-aux` is what many type; no user is called `x`.
                'u' => layout = USER,
                'o' => {
                    let attached = &flags[at + 1..];
                    let names = match attached {
                        "" => words.next().ok_or_else(refuse)?,
                        names => names,
                    };
                    for name in names.split(',') {
                        let known = COLUMNS.iter().find(|column| column.names.contains(&name));
                        list.push(*known.ok_or_else(refuse)?);
                    }
                    break;
                }
                _ => return Err(refuse()),
            }
        }
        if is_bsd && layout == SHORT {
            layout = BSD;
        }
    }
    if list.is_empty() {
        return Ok(layout.to_vec());
    }
    if list.iter().all(|column| column.title != "PID") {
        return Err(Error::Internal {
            context: "Couldn't find PID field in ps output".into(),
            source: None,
        });
    }
    Ok(list)
}

impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        self.names[0] == other.names[0] && self.title == other.title
    }
}

impl Column {
    pub(super) fn cell(&self, process: &Process, seen: Seen) -> String {
        let started = i64::try_from(process.started)
            .ok()
            .and_then(|second| Timestamp::from_second(second).ok())
            .unwrap_or(seen.now);
        let age = seen.now.duration_since(started).max(SignedDuration::ZERO);
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(0);
        let seconds = process.cpu_ms / 1000;
        // In tenths of a percent.
        let share = |part: u64, whole: u64| part.saturating_mul(1000).checked_div(whole);
        let percent = |tenths: Option<u64>| {
            let tenths = tenths.unwrap_or(0).min(9999);
            format!("{}.{}", tenths / 10, tenths % 10)
        };
        let clock = || {
            let local = started.to_zoned(TimeZone::system());
            let recent = age < SignedDuration::from_hours(24);
            local.strftime(if recent { "%H:%M" } else { "%b%d" }).to_string()
        };
        match self.names[0] {
            "user" if process.uid == 0 => "root".to_owned(),
            "user" | "uid" => process.uid.to_string(),
            "pid" => process.pid.to_string(),
            "ppid" => process.parent.to_string(),
            "c" => (share(process.cpu_ms, age_ms).unwrap_or(0) / 10).min(99).to_string(),
            "pcpu" => percent(share(process.cpu_ms, age_ms)),
            "pmem" => percent(share(process.resident_kib << 10, seen.memory)),
            "vsz" => process.virtual_kib.to_string(),
            "rss" => process.resident_kib.to_string(),
            "stat" => process.state.clone(),
            "s" => process.state.chars().take(1).collect(),
            "stime" => clock(),
            "tty" => process.tty.clone(),
            "time" => {
                format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
            }
            "bsdtime" => format!("{}:{:02}", seconds / 60, seconds % 60),
            "etimes" => age.as_secs().to_string(),
            "etime" => elapsed(age.as_secs().unsigned_abs()),
            "comm" => {
                let program = process.command.split(' ').next().unwrap_or_default();
                program.rsplit('/').next().unwrap_or(program).chars().take(COMM).collect()
            }
            _ => process.command.clone(),
        }
    }
}

/// `[[DD-]hh:]mm:ss`.
fn elapsed(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let rest = format!("{:02}:{:02}", seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => rest,
        (0, hours) => format!("{hours:02}:{rest}"),
        (days, hours) => format!("{days}-{hours:02}:{rest}"),
    }
}

const fn column(names: &'static [&'static str], title: &'static str) -> Column {
    Column { names, title }
}

const COLUMNS: [Column; 20] = [
    column(&["user", "euser", "uname"], "USER"),
    column(&["uid", "euid"], "UID"),
    column(&["pid", "tgid"], "PID"),
    column(&["ppid"], "PPID"),
    column(&["c"], "C"),
    column(&["pcpu", "%cpu"], "%CPU"),
    column(&["pmem", "%mem"], "%MEM"),
    column(&["vsz", "vsize"], "VSZ"),
    column(&["rss", "rssize", "rsz"], "RSS"),
    column(&["stat"], "STAT"),
    column(&["s", "state"], "S"),
    column(&["stime", "start_time"], "STIME"),
    column(&["tty", "tt", "tname"], "TTY"),
    column(&["time", "cputime"], "TIME"),
    column(&["bsdtime"], "TIME"),
    column(&["etimes"], "ELAPSED"),
    column(&["etime"], "ELAPSED"),
    column(&["comm", "ucomm", "ucmd"], "COMMAND"),
    column(&["args", "command"], "COMMAND"),
    column(&["cmd"], "CMD"),
];

/// Columns of `ps -e`.
const SHORT: &[Column] = &[
    column(&["pid"], "PID"),
    column(&["tty"], "TTY"),
    column(&["time"], "TIME"),
    column(&["comm"], "CMD"),
];
/// Columns of `ps -ef`: names of users in a column of ids.
const FULL: &[Column] = &[
    column(&["user"], "UID"),
    column(&["pid"], "PID"),
    column(&["ppid"], "PPID"),
    column(&["c"], "C"),
    column(&["stime"], "STIME"),
    column(&["tty"], "TTY"),
    column(&["time"], "TIME"),
    column(&["cmd"], "CMD"),
];
/// Columns of `ps ax`.
const BSD: &[Column] = &[
    column(&["pid"], "PID"),
    column(&["tty"], "TTY"),
    column(&["stat"], "STAT"),
    column(&["bsdtime"], "TIME"),
    column(&["args"], "COMMAND"),
];
/// Columns of `ps aux`.
const USER: &[Column] = &[
    column(&["user"], "USER"),
    column(&["pid"], "PID"),
    column(&["pcpu"], "%CPU"),
    column(&["pmem"], "%MEM"),
    column(&["vsz"], "VSZ"),
    column(&["rss"], "RSS"),
    column(&["tty"], "TTY"),
    column(&["stat"], "STAT"),
    column(&["stime"], "START"),
    column(&["bsdtime"], "TIME"),
    column(&["args"], "COMMAND"),
];
/// `TASK_COMM_LEN` without its end.
const COMM: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_chosen_as_with_ps() {
        let titles = |arguments| {
            let columns = columns(arguments)?;
            Ok(columns.iter().map(|column| column.title).collect::<Vec<_>>().join(" "))
        };
        let error = |arguments| titles(arguments).map_err(|error: Error| error.to_string());
        assert_eq!(error("-ef").unwrap(), "UID PID PPID C STIME TTY TIME CMD");
        assert_eq!(error("-e").unwrap(), "PID TTY TIME CMD");
        assert_eq!(error("-x").unwrap(), "PID TTY STAT TIME COMMAND");
        assert_eq!(error("ax").unwrap(), "PID TTY STAT TIME COMMAND");
        let user = "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND";
        assert_eq!((error("aux").unwrap(), error("-aux").unwrap()), (user.into(), user.into()));
        assert_eq!(error("-eo pid,comm").unwrap(), "PID COMMAND");
        assert_eq!(error("-o user -opid,args").unwrap(), "USER PID COMMAND");
        assert_eq!(error("axo pid,rss,stat").unwrap(), "PID RSS STAT");
        assert!(error("-o comm").unwrap_err().starts_with("Couldn't find PID"));
        assert!(error("-o pid,wchan").unwrap_err().contains("not supported"));
        assert!(error("-z").unwrap_err().contains("not supported"));
    }

    #[test]
    fn cells() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let process = Process {
            pid: 7,
            uid: 0,
            cpu_ms: 61_000,
            started: 1_000_000 - 122,
            resident_kib: 1024,
            state: "Ss+".into(),
            command: "/bin/averylongprogramname -x".into(),
            ..Process::default()
        };
        let seen = Seen { now, memory: 64 << 20 };
        let row: Vec<_> = columns("-o pid,user,time,comm,pcpu,%mem,stat,s,bsdtime,etime")
            .unwrap()
            .iter()
            .map(|column| column.cell(&process, seen))
            .collect();
        let expected = [
            "7",
            "root",
            "00:01:01",
            "averylongprogra",
            "50.0",
            "1.5",
            "Ss+",
            "S",
            "1:01",
            "02:02",
        ];
        assert_eq!(row, expected);
    }
}
