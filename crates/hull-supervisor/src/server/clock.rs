//! Keeps the guest's wall clock right: a host that was suspended or whose clock was set is ahead of
//! guests that know nothing of it.

use std::time::Duration;

use hull_guest::Guest;
use hull_protocol::Request;

use super::identity::wall_clock;

/// Tells the guest the time whenever the host's clock has jumped, and now and then, because the two
/// count with different oscillators. Never returns.
pub(super) async fn keep(guest: Guest) {
    let mut jumps = jumps::Jumps::new();
    loop {
        tokio::select! {
            () = jumps.next() => {}
            () = tokio::time::sleep(DRIFT) => {}
        }
        let clock_ns = wall_clock();
        // A guest that has gone needs no clock.
        if guest.send(&Request::Clock { clock_ns }).done().await.is_err() {
            std::future::pending().await
        }
    }
}

/// At 50 parts in a million, which is a bad oscillator, 30 ms.
const DRIFT: Duration = Duration::from_mins(10);

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod jumps {
    //! timerfd_create(2): a timer with `TFD_TIMER_CANCEL_ON_SET` becomes readable when the clock
    //! is set, which includes the end of a suspension, and costs nothing until then.

    use std::os::fd::OwnedFd;

    use rustix::io::Errno;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    #[derive(Debug)]
    pub(super) struct Jumps(Option<AsyncFd<OwnedFd>>);

    impl Jumps {
        pub(super) fn new() -> Self {
            Self(Self::open().ok())
        }

        fn open() -> std::io::Result<AsyncFd<OwnedFd>> {
            let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
            let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
            arm(&timer)?;
            // SAFETY: the descriptor is open and owned, and nobody changes which it is.
            Ok(unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }?)
        }

        /// Returns when the host's clock has been set.
        pub(super) async fn next(&mut self) {
            let Some(timer) = &self.0 else { return std::future::pending().await };
            loop {
                let Ok(mut ready) = timer.readable().await else {
                    return std::future::pending().await;
                };
                let read = rustix::io::read(timer, &mut [0; 8]);
                if read == Err(Errno::CANCELED) {
                    ready.clear_ready();
                    // Goes on with the clock as it is now.
                    if arm(timer).is_err() {
                        return std::future::pending().await;
                    }
                    return;
                }
                ready.clear_ready();
            }
        }
    }

    /// Sets the timer to a time that nobody lives to see.
    fn arm(timer: impl std::os::fd::AsFd) -> rustix::io::Result<()> {
        let value = Timespec { tv_sec: 1 << 40, tv_nsec: 0 };
        let interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(timer, flags, &Itimerspec { it_interval: interval, it_value: value })
            .map(drop)
    }
}

#[cfg(not(target_os = "linux"))]
mod jumps {
    //! There is nothing to be woken by: the wall clock is compared with one that only ticks.

    use std::time::{Duration, Instant, SystemTime};

    #[derive(Debug)]
    pub(super) struct Jumps(Instant, SystemTime);

    impl Jumps {
        pub(super) fn new() -> Self {
            Self(Instant::now(), SystemTime::now())
        }

        /// Returns when the host's clock has been set.
        pub(super) async fn next(&mut self) {
            loop {
                tokio::time::sleep(Duration::from_secs(10)).await;
                let expected = self.1 + self.0.elapsed();
                let now = SystemTime::now();
                let apart = now.duration_since(expected).or_else(|_| expected.duration_since(now));
                *self = Self::new();
                if apart.is_ok_and(|apart| apart > Duration::from_millis(500)) {
                    return;
                }
            }
        }
    }
}
