//! Tasks that end at once.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use tokio::task::AbortHandle;

/// Work that goes on until it is done or this is dropped. What the work has (a port, say) is dropped
/// with it: a task that is only aborted keeps that until the runtime comes to it, and who asks for
/// the port before then is refused.
pub(crate) struct Task {
    work: Work,
    handle: AbortHandle,
}

/// `None` when it has ended.
type Work = Rc<RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>>;

impl Task {
    /// Begins to work, in the [`tokio::task::LocalSet`] of the caller.
    pub(crate) fn spawn(work: impl Future<Output = ()> + 'static) -> Self {
        let work: Work = Rc::new(RefCell::new(Some(Box::pin(work))));
        let inside = Rc::clone(&work);
        let all = poll_fn(move |context| {
            let mut work = inside.borrow_mut();
            let polled = work.as_mut().map_or(Poll::Ready(()), |work| work.as_mut().poll(context));
            if polled.is_ready() {
                *work = None;
            }
            polled
        });
        Self { work, handle: tokio::task::spawn_local(all).abort_handle() }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // Taken out before it is dropped: it may have tasks of its own. It is borrowed if it drops
        // its own task, and then ends when it next waits.
        let work = self.work.try_borrow_mut().ok().and_then(|mut work| work.take());
        drop(work);
        self.handle.abort();
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("id", &self.handle.id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::Ipv4Addr;

    use tokio::net::{TcpListener, UdpSocket};
    use tokio::task::LocalSet;

    use super::*;

    #[tokio::test]
    async fn what_a_task_has_is_free_when_it_is_dropped() {
        let test = async {
            let any = (Ipv4Addr::LOCALHOST, 0);
            let socket = UdpSocket::bind(any).await.unwrap();
            let address = socket.local_addr().unwrap();
            let outer = Task::spawn(async move {
                // A task within a task, which keeps the socket.
                let inner = Task::spawn(async move {
                    let _ = socket.recv(&mut [0; 1]).await;
                });
                std::future::pending::<()>().await;
                drop(inner);
            });
            tokio::task::yield_now().await;
            assert!(std::net::UdpSocket::bind(address).is_err());
            drop(outer);
            // Nothing has been waited for.
            std::net::UdpSocket::bind(address).unwrap();

            let listener = TcpListener::bind(any).await.unwrap();
            let address = listener.local_addr().unwrap();
            drop(Task::spawn(async move {
                let _ = listener.accept().await;
            }));
            std::net::TcpListener::bind(address).unwrap();
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test]
    async fn a_task_may_drop_itself() {
        let test = async {
            let slot = Rc::new(RefCell::new(None));
            let own = Rc::clone(&slot);
            let steps = Rc::new(Cell::new(0));
            let (taken, held) = (Rc::clone(&steps), Rc::new(()));
            let watched = Rc::downgrade(&held);
            let task = Task::spawn(async move {
                let _held = held;
                taken.set(1);
                drop(own.borrow_mut().take());
                taken.set(2);
                tokio::task::yield_now().await;
                taken.set(3);
            });
            slot.borrow_mut().replace(task);
            while watched.upgrade().is_some() {
                tokio::task::yield_now().await;
            }
            // As far as the next place where it waits, and no further.
            assert_eq!(steps.get(), 2);
        };
        LocalSet::new().run_until(test).await;
    }
}
