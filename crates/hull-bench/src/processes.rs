//! What processes cost: memory and processor time, from `/proc`.

use std::collections::BTreeSet;
use std::time::Duration;
use std::{fs, io};

use hull_tests::Home;

use crate::failure::Failure;

/// Some of the processes of a home.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Processes(BTreeSet<u32>);

impl Processes {
    /// Returns all processes of a home.
    pub(crate) fn of(home: &Home) -> Self {
        Self(home.processes().into_iter().map(|(pid, _)| pid).collect())
    }

    /// Returns those that are not in `others`.
    pub(crate) fn without(&self, others: &Self) -> Self {
        Self(self.0.difference(&others.0).copied().collect())
    }

    /// Returns the sum of their proportional set sizes in bytes.
    pub(crate) fn proportional_set_size(&self) -> Result<u64, Failure> {
        self.sum("smaps_rollup", |text| {
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
            Some(kib << 10)
        })
    }

    /// Returns the largest resident set size of one of them in bytes: that of a VMM.
    pub(crate) fn largest_resident_set_size(&self) -> Result<u64, Failure> {
        let page = rustix::param::page_size() as u64;
        let resident = |text: &str| text.split_whitespace().nth(1)?.parse::<u64>().ok();
        let sizes: Result<Vec<_>, _> = self.each("statm", resident).collect();
        Ok(sizes?.into_iter().flatten().max().unwrap_or(0) * page)
    }

    /// Returns how much processor time they have used since each of them began.
    pub(crate) fn processor_time(&self) -> Result<Duration, Failure> {
        let ticks = self.sum("stat", ticks)?;
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
    }

    fn sum(&self, file: &str, read: impl Fn(&str) -> Option<u64>) -> Result<u64, Failure> {
        self.each(file, read).map(|value| value.map(Option::unwrap_or_default)).sum()
    }

    /// Reads a file of each process; `None` for one that has ended meanwhile.
    fn each(
        &self,
        file: &str,
        read: impl Fn(&str) -> Option<u64>,
    ) -> impl Iterator<Item = Result<Option<u64>, Failure>> {
        self.0.iter().map(move |pid| {
            let path = format!("/proc/{pid}/{file}");
            let text = match fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) if ended(&error) => return Ok(None),
                Err(error) => return Err(Failure::file("read", path)(error)),
            };
            // A process that has ended and was not waited for yet has empty files.
            Ok(read(&text))
        })
    }
}

fn ended(error: &io::Error) -> bool {
    let gone = rustix::io::Errno::SRCH.raw_os_error();
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(gone)
}

/// Returns utime + stime of `/proc/PID/stat`, the 14th and 15th field. The second one, the name,
/// may have any characters.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// Returns the bytes of memory that the host can give to new processes.
pub(crate) fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

/// Returns bytes in MiB.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_is_measured() {
        let own = Processes(BTreeSet::from([std::process::id()]));
        let (proportional, resident) =
            (own.proportional_set_size(), own.largest_resident_set_size());
        let (proportional, resident) = (proportional.expect("pss"), resident.expect("rss"));
        assert!(
            proportional > 100 << 10 && resident >= proportional / 2,
            "{proportional} {resident}"
        );
        own.processor_time().expect("time");
        assert!(available_memory() > Some(1 << 20));
    }

    #[test]
    fn a_process_that_ended_costs_nothing() {
        let none = Processes(BTreeSet::from([u32::MAX]));
        assert_eq!(none.proportional_set_size().expect("pss"), 0);
        assert_eq!(none.processor_time().expect("time"), Duration::ZERO);
    }

    #[test]
    fn names_do_not_confuse() {
        let stat = "1 (a) b) S 2 3 4 5 6 7 8 9 10 11 100 20 0 0";
        assert_eq!(ticks(stat), Some(120));
        assert_eq!(ticks(""), None);
    }
}
