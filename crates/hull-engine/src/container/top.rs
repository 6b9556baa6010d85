//! Processes and resource use of a running container.

use hull_protocol::{Process, Statistics};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::kill::failed;
use crate::{Engine, Error, Result};

/// A process table, as `ps` prints it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Top {
    pub titles: Vec<String>,
    pub processes: Vec<Vec<String>>,
}

impl Engine {
    /// Lists the processes of a container as `ps` prints them with `arguments`: `-ef`, or `-o` and
    /// columns (`-eo pid,comm`).
    ///
    /// # Errors
    /// No such container, or it does not run; arguments that would need the guest's own `ps`.
    pub async fn top(&self, container: &str, arguments: &str) -> Result<Top> {
        let container = self.inner.containers.find(container)?;
        let task = self.running_task(&container)?;
        let columns = columns(arguments)?;
        let processes = task.processes().await;
        let processes = processes.map_err(|error| failed(&container, error, "cannot list"))?;
        self.tell(&container, "top", &[]);
        let now = Timestamp::now();
        let row = |process| columns.iter().map(|column| column.cell(process, now)).collect();
        Ok(Top {
            titles: columns.iter().map(|column| column.title.to_owned()).collect(),
            processes: processes.iter().map(row).collect(),
        })
    }

    /// Measures the resource use of a container; `None` if it does not run.
    ///
    /// # Errors
    /// No such container.
    pub async fn statistics(&self, container: &str) -> Result<Option<Statistics>> {
        let container = self.inner.containers.find(container)?;
        let Ok(task) = self.running_task(&container) else {
            return Ok(None);
        };
        match task.statistics().await {
            Ok(statistics) => Ok(Some(statistics)),
            Err(error) => match failed(&container, error, "cannot measure container") {
                Error::NotRunning(_) => Ok(None),
                error => Err(error),
            },
        }
    }
}

/// A column of `ps`, by the names that its `-o` takes.
#[derive(Clone, Copy, Debug)]
struct Column {
    names: &'static [&'static str],
    title: &'static str,
}

/// Reads what follows the container's name on the command line.
fn columns(arguments: &str) -> Result<Vec<Column>> {
    let refuse = || {
        Error::InvalidParameter(format!(
            "ps options {arguments:?} are not supported: there are -ef, and -o with columns of {}",
            COLUMNS.iter().map(|column| column.names[0]).collect::<Vec<_>>().join(", ")
        ))
    };
    let mut list = Vec::new();
    let mut words = arguments.split_whitespace();
    while let Some(word) = words.next() {
        if matches!(word, "-e" | "-A" | "-f" | "-ef" | "ax" | "-ax") {
            continue;
        }
        let flag = word.strip_prefix('-').unwrap_or(word);
        let attached = flag.trim_start_matches(['e', 'A', 'a', 'x']);
        let columns = match attached.strip_prefix('o') {
            Some("") => words.next().ok_or_else(refuse)?,
            Some(columns) => columns,
            None => return Err(refuse()),
        };
        for name in columns.split(',') {
            let known = COLUMNS.iter().find(|column| column.names.contains(&name));
            list.push(*known.ok_or_else(refuse)?);
        }
    }
    match list.is_empty() {
        true => Ok(FULL.iter().map(|index| COLUMNS[*index]).collect()),
        // Docker tells by it which lines are the container's.
        false if list.iter().all(|column| column.title != "PID") => Err(Error::Internal {
            context: "Couldn't find PID field in ps output".into(),
            source: None,
        }),
        false => Ok(list),
    }
}

impl Column {
    fn cell(&self, process: &Process, now: Timestamp) -> String {
        let started = i64::try_from(process.started)
            .ok()
            .and_then(|second| Timestamp::from_second(second).ok())
            .unwrap_or(now);
        let age = now.duration_since(started);
        let seconds = process.cpu_ms / 1000;
        match self.names[0] {
            "user" if process.uid == 0 => "root".to_owned(),
            "user" | "uid" => process.uid.to_string(),
            "pid" => process.pid.to_string(),
            "ppid" => process.parent.to_string(),
            "c" => {
                let share = match u64::try_from(age.as_millis()) {
                    Ok(age) if age > 0 => process.cpu_ms.saturating_mul(100) / age,
                    _ => 0,
                };
                share.min(99).to_string()
            }
            "stime" => {
                let local = started.to_zoned(TimeZone::system());
                let recent = age < SignedDuration::from_hours(24);
                local.strftime(if recent { "%H:%M" } else { "%b%d" }).to_string()
            }
            "tty" => process.tty.clone(),
            "time" => {
                format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
            }
            "etimes" => age.as_secs().max(0).to_string(),
            "comm" => {
                let program = process.command.split(' ').next().unwrap_or_default();
                program.rsplit('/').next().unwrap_or(program).chars().take(COMM).collect()
            }
            _ => process.command.clone(),
        }
    }
}

const fn column(names: &'static [&'static str], title: &'static str) -> Column {
    Column { names, title }
}

const COLUMNS: [Column; 13] = [
    column(&["user", "euser"], "USER"),
    column(&["uid", "euid"], "UID"),
    column(&["pid", "tgid"], "PID"),
    column(&["ppid"], "PPID"),
    column(&["c"], "C"),
    column(&["stime"], "STIME"),
    column(&["tty", "tt", "tname"], "TTY"),
    column(&["time", "cputime"], "TIME"),
    column(&["etimes"], "ELAPSED"),
    column(&["comm", "ucomm", "ucmd"], "COMMAND"),
    column(&["args", "command"], "COMMAND"),
    column(&["cmd"], "CMD"),
    // As `-f` has it: names of users in a column of ids.
    column(&["user", "-f"], "UID"),
];

/// Columns of `ps -ef`.
const FULL: [usize; 8] = [12, 2, 3, 4, 5, 6, 7, 11];
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
        assert_eq!(error("-eo pid,comm").unwrap(), "PID COMMAND");
        assert_eq!(error("-o user -opid,args").unwrap(), "USER PID COMMAND");
        assert!(error("-o comm").unwrap_err().starts_with("Couldn't find PID"));
        assert!(error("-o pid,rss").unwrap_err().contains("not supported"));
        assert!(error("aux").unwrap_err().contains("not supported"));
    }

    #[test]
    fn cells() {
        let process = Process {
            pid: 7,
            uid: 0,
            cpu_ms: 61_000,
            command: "/bin/averylongprogramname -x".into(),
            ..Process::default()
        };
        let row: Vec<_> = columns("-o pid,user,time,comm")
            .unwrap()
            .iter()
            .map(|column| column.cell(&process, Timestamp::now()))
            .collect();
        assert_eq!(row, ["7", "root", "00:01:01", "averylongprogra"]);
    }
}
