//! The machine gives way to the host: a container that runs wild slows down nothing but itself.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, setpriority_process};
use tokio::time::sleep;

/// Lets the VMM's process give way to others: in memory at once, in CPU time once the start, which
/// somebody waits for, is over.
pub(super) async fn keep(vmm: u32) {
    // The kernel ends it before the supervisor and what else the host runs. Only raised: that needs
    // no privilege. Where there is no such file there is no such killer.
    let _ = fs::write(format!("/proc/{vmm}/oom_score_adj"), OOM_SCORE);
    sleep(START).await;
    // Niceness is a thread's; those that come later inherit it.
    let threads = fs::read_dir(format!("/proc/{vmm}/task")).into_iter().flatten().flatten();
    for thread in threads {
        let id = thread.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(thread) = id.and_then(Pid::from_raw) {
            // It may have ended since.
            let _ = setpriority_process(Some(thread), NICE);
        }
    }
}

/// Out of 1000: well before processes that say nothing.
const OOM_SCORE: &str = "300";
/// About a third of the CPU time of a process that says nothing.
const NICE: i32 = 5;
const START: Duration = Duration::from_secs(2);
