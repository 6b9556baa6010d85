//! Frequency of the CPU's time stamp counter.

/// Returns kHz of this host's time stamp counter, measured in a few hundredths of a second;
/// `None` where a translated guest does not see it.
#[cfg(target_arch = "x86_64")]
pub(crate) fn tsc_khz() -> Option<u32> {
    use std::time::{Duration, Instant};

    if !is_invariant() {
        return None;
    }

    // SAFETY: every x86_64 CPU has the instruction, and user programs may use it.
    let ticks = || unsafe { core::arch::x86_64::_rdtsc() };
    // The best of several: the shorter the pair of readings took, the closer they belong together.
    let reading = || {
        (0..8)
            .map(|_| {
                let (before, time, after) = (ticks(), Instant::now(), ticks());
                (after.wrapping_sub(before), before, time)
            })
            .min_by_key(|(width, ..)| *width)
    };
    let (_, first, begin) = reading()?;
    std::thread::sleep(Duration::from_millis(50));
    let (_, last, end) = reading()?;
    let elapsed = (end - begin).as_nanos();
    let khz = u128::from(last.checked_sub(first)?) * 1_000_000 / elapsed.max(1);
    u32::try_from(khz).ok().filter(|khz| *khz > 100_000)
}

/// Whether the counter runs at one rate whatever the CPU does (CPUID 0x80000007, EDX bit 8).
#[cfg(target_arch = "x86_64")]
fn is_invariant() -> bool {
    use core::arch::x86_64::__cpuid;

    __cpuid(0x8000_0000).eax >= 0x8000_0007 && __cpuid(0x8000_0007).edx & 1 << 8 != 0
}

/// Returns kHz of this host's time stamp counter: it has none.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn tsc_khz() -> Option<u32> {
    None
}
