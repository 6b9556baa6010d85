//! What a container has open of the host's directories, brought to the supervisors of its copies.
//!
//! Two counts, the numbers, and then packets of descriptors, each of which is acknowledged: the
//! kernel limits how many are on their way.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hull_share::State;
use hull_socket::{Address, descriptors};
use tokio::task::JoinHandle;

use crate::paths;

use super::context::chain;

/// Gives a state to everybody who asks for it in a directory, until it is dropped.
#[derive(Debug)]
pub(super) struct Offer(JoinHandle<()>);

impl Offer {
    pub(super) fn new(dir: &Path, state: State) -> io::Result<Self> {
        let listener = hull_socket::listen(&Address::new(dir, paths::SHARES_SOCKET)?)?;
        let state = Arc::new(state);
        let serve = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                tokio::task::spawn_blocking(move || {
                    let given = stream.into_std().and_then(|stream| give(stream, &state));
                    if let Err(error) = given {
                        tracing::debug!(error = chain(&error), "a copy did not get its state");
                    }
                });
            }
        };
        Ok(Self(tokio::task::spawn_local(serve)))
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Gets the state that is offered in `dir`. Blocks.
pub(super) fn get(dir: &Path) -> io::Result<State> {
    let mut stream = UnixStream::connect(Address::new(dir, paths::SHARES_SOCKET)?.path())?;
    prepare(&stream)?;
    let mut counts = [0; 16];
    stream.read_exact(&mut counts)?;
    let [numbers, files] = counts.as_chunks::<8>().0 else { unreachable!() };
    let (numbers, files) = (u64::from_le_bytes(*numbers), u64::from_le_bytes(*files));
    let mut state = State::default();
    for _ in 0..numbers {
        let mut number = [0; 8];
        stream.read_exact(&mut number)?;
        state.numbers.push(u64::from_le_bytes(number));
    }
    while (state.files.len() as u64) < files {
        let before = state.files.len();
        descriptors::receive(&stream, &mut [0], &mut state.files)?;
        if state.files.len() == before {
            // Descriptors have run out, or the other one has gone.
            return Err(io::Error::other("a descriptor did not arrive"));
        }
        stream.write_all(&[0])?;
    }
    Ok(state)
}

fn give(mut stream: UnixStream, state: &State) -> io::Result<()> {
    prepare(&stream)?;
    let counts = [state.numbers.len() as u64, state.files.len() as u64];
    let numbers = counts.iter().chain(&state.numbers).flat_map(|number| number.to_le_bytes());
    stream.write_all(&numbers.collect::<Vec<_>>())?;
    for files in state.files.chunks(descriptors::MOST) {
        send(&stream, files)?;
        stream.read_exact(&mut [0])?;
    }
    Ok(())
}

fn prepare(stream: &UnixStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))
}

fn send(stream: &UnixStream, files: &[OwnedFd]) -> io::Result<()> {
    let fds: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
    descriptors::send(stream, &[0], &fds).map(drop)
}

const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[tokio::test]
    async fn any_number_of_descriptors_arrives_in_order_any_number_of_times() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, other) = (dir.path().join("kept"), dir.path().join("other"));
        let paths = (0..600).map(|number| if number % 7 == 0 { &kept } else { &other });
        std::fs::write(&kept, "").unwrap();
        std::fs::write(&other, "").unwrap();
        let files: Vec<OwnedFd> = paths.map(|path| File::open(path).unwrap().into()).collect();
        let state = State { numbers: (0..100_000).collect(), files };
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let offer = Offer::new(dir.path(), state).unwrap();
                for _ in 0..2 {
                    let path = dir.path().to_owned();
                    let got = tokio::task::spawn_blocking(move || get(&path)).await.unwrap();
                    let got = got.unwrap();
                    assert!(got.numbers.iter().copied().eq(0..100_000));
                    let inode = |file: OwnedFd| File::from(file).metadata().unwrap().ino();
                    let inodes: Vec<_> = got.files.into_iter().map(inode).collect();
                    assert_eq!(inodes.len(), 600);
                    let first = inodes[0];
                    let is_kept =
                        |(number, inode): (usize, &u64)| (*inode == first) == (number % 7 == 0);
                    assert!(inodes.iter().enumerate().all(is_kept));
                }
                drop(offer);
            })
            .await;
    }

    #[tokio::test]
    async fn who_gives_nothing_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(get(dir.path()).is_err());
        let address = Address::new(dir.path(), paths::SHARES_SOCKET).unwrap();
        let listener = hull_socket::listen(&address).unwrap();
        let path = dir.path().to_owned();
        let getting = tokio::task::spawn_blocking(move || get(&path));
        drop(listener.accept().await.unwrap());
        assert!(getting.await.unwrap().is_err());
    }
}
