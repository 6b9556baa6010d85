//! Where the time of a start went.

use std::time::{Duration, Instant};

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
    pub(crate) fn lap(&mut self, phase: &'static str) {
        let now = self.now();
        self.phases.push(Timing { phase, begin_us: self.last, duration_us: now - self.last });
        self.last = now;
    }

    /// Returns the phases and the time from the beginning until now.
    pub(crate) fn finish(self) -> (Vec<Timing>, Duration) {
        (self.phases, self.begin.elapsed())
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
    // The kernel of a restored machine booted with the template, and its clock with it.
    let booted = supervisor.restored.is_none();
    let kernel = supervisor.hello.zip(supervisor.guest_uptime).filter(|_| booted);
    // Firmware and loading are what the guest's own clock has not seen.
    let kernel = kernel.map(|(hello, uptime)| hello.saturating_sub(uptime));
    let hello = if booted { "machine: boot kernel and agent" } else { "guest: answer" };
    let ends = [
        ("supervisor: plan", supervisor.planned),
        ("template: verify or build", supervisor.template_ready),
        ("supervisor: spawn machine", supervisor.vmm_spawned),
        ("machine: restore", supervisor.restored),
        ("machine: firmware and load", kernel),
        (hello, supervisor.hello),
        ("guest: configure", supervisor.configured),
        ("guest: create container", supervisor.created),
        ("guest: configure network", supervisor.network_configured),
        ("guest: execute program", supervisor.started),
        ("program: first output", supervisor.first_output),
        ("program: end", supervisor.exited),
        ("machine: end", supervisor.machine_ended),
    ];
    let mut last = 0;
    for (phase, end) in ends {
        let Some(end) = end else { continue };
        let end = end.max(last);
        all.push(Timing { phase, begin_us: entered + last, duration_us: end - last });
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
    fn a_fork_is_restored_and_not_booted() {
        let supervisor = Timings {
            planned: Some(100),
            template_ready: Some(150),
            vmm_spawned: Some(300),
            restored: Some(900),
            hello: Some(1000),
            // Since the template's boot, long ago.
            guest_uptime: Some(70_000_000),
            ..Timings::default()
        };
        let all = merge(&[], &supervisor);
        let phases: Vec<_> = all.iter().map(|t| (t.phase, t.duration_us)).collect();
        assert_eq!(
            phases,
            [
                ("supervisor: plan", 100),
                ("template: verify or build", 50),
                ("supervisor: spawn machine", 150),
                ("machine: restore", 600),
                ("guest: answer", 100),
            ]
        );
    }

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
