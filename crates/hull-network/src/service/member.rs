//! One connection.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use tokio::net::UnixStream;

use crate::protocol::{Answer, Ask};
use crate::wire::Wire;

use super::Shared;
use super::state::Refusal;

/// Serves a connection until its other end closes it; then what its container had goes.
pub(super) async fn converse(stream: UnixStream, shared: Rc<Shared>) {
    let mut wire = Wire::new(stream);
    let mut membership = None;
    loop {
        let ask = match wire.receive::<Ask>().await {
            Ok(Some((ask, _))) => ask,
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%error, "a member is not understood");
                break;
            }
        };
        if matches!(ask, Ask::Quit) {
            shared.quit.notify_one();
            continue;
        }
        let (answer, taps) = answer(&shared, &mut membership, &wire, ask)
            .unwrap_or_else(|Refusal { message, hint }| (Answer::Failed { message, hint }, vec![]));
        if let Err(error) = wire.send(&answer, &taps).await {
            tracing::warn!(%error, "a member has gone");
            break;
        }
    }
}

/// A container that has joined. It leaves with this value.
struct Membership {
    shared: Rc<Shared>,
    number: u64,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.shared.state.borrow_mut().leave(self.number);
        self.shared.changed.notify_waiters();
    }
}

fn answer(
    shared: &Rc<Shared>,
    membership: &mut Option<Membership>,
    wire: &Wire,
    ask: Ask,
) -> Result<(Answer, Vec<OwnedFd>), Refusal> {
    let mut state = shared.state.borrow_mut();
    match (ask, &membership) {
        (Ask::Join(join), None) => {
            // With the namespace, for the service that comes next.
            let mut fds = Vec::from(state.handles()?);
            let (number, taps, ports) = state.join(join, wire.connection()?)?;
            fds.extend(taps);
            *membership = Some(Membership { shared: Rc::clone(shared), number });
            shared.changed.notify_waiters();
            Ok((Answer::Joined { ports }, fds))
        }
        (Ask::Connect(endpoint), Some(Membership { number, .. })) => {
            Ok((Answer::Done, vec![state.connect(*number, endpoint)?]))
        }
        (Ask::Disconnect { network }, Some(Membership { number, .. })) => {
            state.disconnect(*number, &network);
            Ok((Answer::Done, Vec::new()))
        }
        (Ask::Rename(names), Some(Membership { number, .. })) => {
            state.rename(*number, names);
            Ok((Answer::Done, Vec::new()))
        }
        (Ask::Reach { host }, _) => {
            let (address, socket) = state.reach(&host)?;
            Ok((Answer::Reached { address }, vec![socket]))
        }
        (
            Ask::Join(_) | Ask::Connect(_) | Ask::Disconnect { .. } | Ask::Rename(_) | Ask::Quit,
            _,
        ) => Err(io::Error::from(io::ErrorKind::InvalidInput).into()),
    }
}
