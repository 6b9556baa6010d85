//! Stops the container: signal, time, SIGKILL, and the machine if even that does not help.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::control::{Exit, Stop};
use crate::state::Status;

use super::context::Context;

/// Stops the container and waits for its end.
pub(super) async fn stop(context: &Arc<Context>, stop: Stop) -> Exit {
    if context.state().status == Status::Starting {
        context.destroy.notify_one();
        return context.recorded().await;
    }
    let signal = stop.signal.unwrap_or(context.launch.stop.signal);
    let patience = stop.timeout.unwrap_or(context.launch.stop.timeout);
    // Refused if the process has ended meanwhile; the wait tells.
    let _ = timeout(GUEST_PATIENCE, context.signal_init(signal)).await;
    let in_time = match u64::try_from(patience) {
        Ok(seconds) => timeout(Duration::from_secs(seconds), context.exited()).await.is_ok(),
        Err(_) => {
            context.exited().await;
            true
        }
    };
    if !in_time {
        let _ = timeout(GUEST_PATIENCE, context.signal_init(SIGKILL)).await;
        if timeout(GUEST_PATIENCE, context.exited()).await.is_err() {
            context.destroy.notify_one();
        }
    }
    context.recorded().await
}

/// Ends the machine at once.
pub(super) async fn destroy(context: &Context) -> Exit {
    context.destroy.notify_one();
    context.recorded().await
}

const SIGKILL: i32 = 9;
/// How long a guest may take to do what it is told before it counts as hung.
const GUEST_PATIENCE: Duration = Duration::from_secs(10);
