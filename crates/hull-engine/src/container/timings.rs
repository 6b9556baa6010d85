//! Where the time of a start went.

use std::time::Instant;

use hull_supervisor::state::Timings;

use super::state::Timing;

/// Measures the engine's own phases of a start.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    begin: Instant,
    last: u64,
    phases: Vec<Timing>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { begin: Instant::now(), last: 0, phases: Vec::new() }
    }

    /// Ends a phase that began where the last one ended.
    pub(crate) fn lap(&mut self, phase: &str) {
        let now = self.now();
        self.phases.push(Timing {
            phase: phase.to_owned(),
            begin_us: self.last,
            duration_us: now - self.last,
        });
        self.last = now;
    }

    pub(crate) fn finish(self) -> Vec<Timing> {
        self.phases
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Appends what the supervisor measured to the engine's phases. The supervisor's clock begins when
/// it is entered, which is not later than the end of the engine's phase `SPAWN`; its own phases
/// are placed so that its last one before the start ends with the engine's last phase.
pub(crate) fn merge(engine: &[Timing], supervisor: &Timings) -> Vec<Timing> {
    let mut all = engine.to_vec();
    let Some(entered) = engine
        .iter()
        .find(|timing| timing.phase == SPAWN)
        .map(|timing| timing.begin_us)
        .or(Some(0))
    else {
        return all;
    };
    let kernel = supervisor.hello.zip(supervisor.guest_uptime).map(|(hello, uptime)| {
        // Firmware and loading are what the guest's own clock has not seen.
        hello.saturating_sub(uptime)
    });
    let ends = [
        ("supervisor: plan", supervisor.planned),
        ("supervisor: spawn machine", supervisor.vmm_spawned),
        ("machine: firmware and load", kernel),
        ("machine: boot kernel and agent", supervisor.hello),
        ("guest: configure", supervisor.configured),
        ("guest: create container", supervisor.created),
        ("guest: execute program", supervisor.started),
        ("program: first output", supervisor.first_output),
        ("program: end", supervisor.exited),
        ("machine: end", supervisor.machine_ended),
    ];
    let mut last = 0;
    for (phase, end) in ends {
        let Some(end) = end else { continue };
        let end = end.max(last);
        all.push(Timing {
            phase: phase.to_owned(),
            begin_us: entered + last,
            duration_us: end - last,
        });
        last = end;
    }
    all
}

/// Phase in which the supervisor is started.
pub(crate) const SPAWN: &str = "engine: start supervisor";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_each_other_without_gaps() {
        let supervisor = Timings {
            planned: Some(100),
            vmm_spawned: Some(300),
            hello: Some(1000),
            guest_uptime: Some(600),
            created: Some(1500),
            ..Timings::default()
        };
        let all = merge(&[], &supervisor);
        let ends: Vec<u64> = all.iter().map(|t| t.begin_us + t.duration_us).collect();
        assert_eq!(ends, [100, 300, 400, 1000, 1500]);
        for pair in all.windows(2) {
            assert_eq!(pair[0].begin_us + pair[0].duration_us, pair[1].begin_us);
        }
    }
}
