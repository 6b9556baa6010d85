//! The size of the terminal, told to the container.

use std::io::{IsTerminal as _, stdin, stdout};

use tokio::signal::unix::{SignalKind, signal};

use crate::client::Client;

/// Returns rows and columns of the terminal, if there is one.
pub(crate) fn size() -> Option<(u16, u16)> {
    let size = if stdout().is_terminal() {
        rustix::termios::tcgetwinsize(stdout())
    } else if stdin().is_terminal() {
        rustix::termios::tcgetwinsize(stdin())
    } else {
        return None;
    };
    let size = size.ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// Sets the size of a container's or exec's terminal (`path` is its resource), now and whenever
/// the user's changes. Never ends.
pub(crate) async fn follow_size(client: &Client<'_>, path: &str) {
    // Without the signal the size stays as it is: no reason to fail.
    let changes = signal(SignalKind::window_change());
    let mut last = None;
    if let Ok(mut changes) = changes {
        loop {
            last = tell(client, path, last).await;
            if changes.recv().await.is_none() {
                break;
            }
        }
    }
    tell(client, path, last).await;
    std::future::pending::<()>().await;
}

/// Has the program draw again: its terminal gets a size that the user's does not have, as docker's
/// client does it, and then the right one.
pub(crate) async fn have_redrawn(client: &Client<'_>, path: &str) {
    if let Some((rows, columns)) = size() {
        for more in [1, 0] {
            let (rows, columns) = (rows.saturating_add(more), columns.saturating_add(more));
            // A process that has ended cannot be resized.
            let _ = client.post(&format!("{path}/resize?h={rows}&w={columns}"), None).await;
        }
    }
}

async fn tell(client: &Client<'_>, path: &str, last: Option<(u16, u16)>) -> Option<(u16, u16)> {
    let now = size();
    if let Some((rows, columns)) = now
        && now != last
    {
        // A process that has ended cannot be resized.
        let _ = client.post(&format!("{path}/resize?h={rows}&w={columns}"), None).await;
    }
    now
}
