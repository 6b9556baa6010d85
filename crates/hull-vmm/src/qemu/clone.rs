//! Clones a machine by forking its process, which `hull-remap` does inside it.
//!
//! Under translation a process is worth more than its guest's state: it has translated what the
//! guest executes. A clone shares all of it, until it is written.

use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use hull_socket::descriptors;
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use crate::clone::{CloneError, Exchange};
use crate::platform;

use super::attach::Nodes;
use super::nic::Ports;
use super::process::{QemuMachine, Streams, asynchronous};
use super::vmm_process::{Cloned, VmmProcess};

/// What has to be known of a machine to make a clone of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Original {
    pub(super) pid: Option<u32>,
    pub(super) numbers: Numbers,
    pub(super) nodes: Nodes,
    pub(super) ports: Ports,
}

/// What a clone gets in place of what its original has, besides its connections.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    pub(super) files: Vec<Exchange>,
    /// Numbers of descriptors.
    pub(super) numbers: Vec<(RawFd, OwnedFd)>,
    /// As for [`QemuMachine::clone_of`].
    pub(super) written: Option<OwnedFd>,
}

/// Descriptors of a machine's process that its clones get others for.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Numbers {
    pub(super) monitor: RawFd,
    pub(super) channel: RawFd,
    pub(super) share: RawFd,
}

impl QemuMachine {
    /// Returns whether the machine's process can be forked.
    pub fn is_cloneable(&self) -> bool {
        self.control.is_some() && cfg!(all(target_os = "linux", target_arch = "x86_64"))
    }

    /// Returns whether somebody has stopped the machine's process by a signal: it does not answer.
    pub fn is_stopped(&self) -> bool {
        self.pid.is_some_and(platform::is_stopped)
    }

    /// Returns a clone of the machine that listens where `connect` leads, which is called when all
    /// that is asked for there is ready: who answers waits for nobody. The host's process list has
    /// it as `name`. It has pages of its own from the beginning where `written` says, a file with
    /// what [`QemuMachine::written`] returned for a clone of the same machine. All else is as for
    /// [`Machine::twin`](crate::Machine::twin).
    ///
    /// # Errors
    /// [`CloneError`].
    pub async fn clone_of(
        original: &Original,
        connect: impl Fn() -> io::Result<StdUnixStream>,
        name: &str,
        files: Vec<Exchange>,
        written: Option<OwnedFd>,
    ) -> Result<Self, CloneError> {
        let exchanges = Exchanges { files, written, ..Exchanges::default() };
        let (targets, ends) = ends(original, exchanges)?;
        let connection = loop {
            match connect() {
                // Others are before it.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(PAUSE).await,
                other => break other.and_then(asynchronous).map_err(CloneError::Connection)?,
            }
        };
        ends.of(original, ask(&connection, original.pid, name, &targets).await?)
    }

    /// As [`Self::clone_of`], by a connection that the machine's owner has.
    pub(super) async fn clone_by(
        original: &Original,
        control: &UnixStream,
        name: &str,
        exchanges: Exchanges,
    ) -> Result<Self, CloneError> {
        let (targets, ends) = ends(original, exchanges)?;
        ends.of(original, ask(control, original.pid, name, &targets).await?)
    }

    /// Returns where a machine that is a clone has memory of its own by now, in the form that a clone
    /// is told.
    ///
    /// # Errors
    /// If the host does not say.
    pub fn written(&self) -> io::Result<Vec<u8>> {
        let pid = self.pid.ok_or(io::ErrorKind::NotFound)?;
        let ranges = platform::written_memory(pid)?;
        Ok(ranges.iter().flatten().flat_map(|number| number.to_ne_bytes()).collect())
    }

    /// Has the host's process list call the machine `name`, as far as the old name was long.
    ///
    /// # Errors
    /// [`CloneError`]; nothing but the name depends on it.
    pub async fn rename(&self, name: &str) -> Result<(), CloneError> {
        let control = self.control.as_ref().ok_or(CloneError::Unsuited)?;
        ask(control, self.pid, name, &[]).await.map(drop)
    }

    pub(super) fn original(&self) -> Original {
        let (nodes, ports) = (self.nodes.clone(), self.ports.clone());
        Original { pid: self.pid, numbers: self.numbers, nodes, ports }
    }
}

/// This process's ends of what connects it with a clone.
struct Ends {
    control: StdUnixStream,
    monitor: StdUnixStream,
    streams: Streams,
}

/// Makes what connects this process with a clone, and returns the clone's ends with the rest of what
/// it gets.
fn ends(
    original: &Original,
    exchanges: Exchanges,
) -> Result<(Vec<(RawFd, OwnedFd)>, Ends), CloneError> {
    let pair = || StdUnixStream::pair().map_err(CloneError::Channel);
    let pipe = || io::pipe().map_err(CloneError::Channel);
    let (control, its_control) = pair()?;
    let (monitor, its_monitor) = pair()?;
    let (channel, its_channel) = pair()?;
    let (share, its_share) = pair()?;
    let (console, its_console) = pipe()?;
    let (errors, its_errors) = pipe()?;
    let Numbers { monitor: monitor_number, channel: channel_number, share: share_number } =
        original.numbers;
    let mut targets = vec![
        (CONTROL, OwnedFd::from(its_control)),
        (monitor_number, its_monitor.into()),
        (channel_number, its_channel.into()),
        (share_number, its_share.into()),
        (STDOUT, its_console.into()),
        (STDERR, its_errors.into()),
    ];
    targets.extend(exchanges.numbers);
    targets.extend(exchanges.written.map(|file| (WRITTEN, file)));
    for Exchange { old, new } in exchanges.files {
        targets.extend([(FILE, old), (FILE, new)]);
    }
    let streams = Streams { channel, share, console: console.into(), errors: errors.into() };
    Ok((targets, Ends { control, monitor, streams }))
}

impl Ends {
    /// Returns the machine that `process` is.
    fn of(self, original: &Original, process: Option<Cloned>) -> Result<QemuMachine, CloneError> {
        let process = VmmProcess::Clone(process.ok_or(CloneError::Silent)?);
        let machine = QemuMachine::of_clone(original, process, self.monitor, self.streams);
        let mut machine = machine.map_err(CloneError::Channel)?;
        machine.control = Some(asynchronous(self.control).map_err(CloneError::Channel)?);
        Ok(machine)
    }
}

/// Has the process at the other end of `control` listen to `listener`.
pub(super) async fn listen(control: &UnixStream, listener: OwnedFd) -> Result<(), CloneError> {
    ask(control, None, "", &[(LISTENER, listener)]).await.map(drop)
}

/// Has the process at the other end of `control` use `fd` in place of its descriptor `number`.
pub(super) async fn exchange(
    control: &UnixStream,
    number: RawFd,
    fd: OwnedFd,
) -> Result<(), CloneError> {
    ask(control, None, "", &[(number, fd)]).await.map(drop)
}

/// Returns whether the process at the other end of `control` answers at all.
pub(super) async fn is_loaded(control: &UnixStream) -> bool {
    let nothing = [0; REQUEST_BYTES];
    let asked = async {
        control.async_io(Interest::WRITABLE, || send(control, &nothing, &[])).await?;
        control.async_io(Interest::READABLE, || receive(control)).await
    };
    matches!(timeout(PATIENCE, asked).await, Ok(Ok((error, ..))) if error != 0)
}

/// Sends a request to the process `pid`, if that is known, and returns the process that was made, if
/// one was asked for.
async fn ask(
    connection: &UnixStream,
    pid: Option<u32>,
    name: &str,
    targets: &[(RawFd, OwnedFd)],
) -> Result<Option<Cloned>, CloneError> {
    let request = request(name, targets);
    let asked = async {
        // Nothing may come between connecting and this.
        match send(connection, &request, targets) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let send = || send(connection, &request, targets);
                connection.async_io(Interest::WRITABLE, send).await?;
            }
            sent => sent?,
        }
        connection.async_io(Interest::READABLE, || receive(connection)).await
    };
    let answered = tokio::select! {
        answered = timeout(PATIENCE, asked) => answered,
        pid = stop(pid) => return Err(CloneError::Stopped(pid)),
    };
    let (error, pid, pidfd) = match answered {
        Ok(answer) => answer.map_err(CloneError::Connection)?,
        Err(_) => return Err(CloneError::Silent),
    };
    match error {
        0 => {}
        UNSHAREABLE => return Err(CloneError::Descriptors),
        error => return Err(CloneError::Refused(io::Error::from_raw_os_error(error))),
    }
    Ok(pidfd.map(|pidfd| Cloned::new(pid, pidfd)))
}

/// Waits until a process stands still because somebody has stopped it, not for a moment only.
async fn stop(pid: Option<u32>) -> u32 {
    let Some(pid) = pid else {
        return std::future::pending().await;
    };
    let mut times = 0;
    while times < 2 {
        sleep(LOOK).await;
        times = if platform::is_stopped(pid) { times + 1 } else { 0 };
    }
    pid
}

/// Returns the bytes of a request: version, number of descriptors, what each is for, name.
fn request(name: &str, targets: &[(RawFd, OwnedFd)]) -> [u8; REQUEST_BYTES] {
    let mut bytes = [0; REQUEST_BYTES];
    let numbers = [VERSION, targets.len() as i32].into_iter();
    let numbers = numbers.chain(targets.iter().map(|(target, _)| *target));
    for (place, number) in bytes.chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_ne_bytes());
    }
    for (place, byte) in bytes[REQUEST_BYTES - NAME_BYTES..].iter_mut().zip(name.bytes()) {
        *place = byte;
    }
    bytes
}

fn send(socket: &UnixStream, bytes: &[u8], targets: &[(RawFd, OwnedFd)]) -> io::Result<()> {
    if targets.len() > MOST {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let fds: Vec<_> = targets.iter().map(|(_, fd)| fd.as_fd()).collect();
    let sent = descriptors::send(socket, bytes, &fds)?;
    // So few bytes go into a socket's buffer at once or not at all.
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Returns the answer: error number, process, and a descriptor of the process.
fn receive(socket: &UnixStream) -> io::Result<(i32, i32, Option<OwnedFd>)> {
    let (mut bytes, mut fds) = ([0; ANSWER_BYTES], Vec::new());
    if descriptors::receive(socket, &mut bytes, &mut fds)? != ANSWER_BYTES {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let number =
        |at: usize| i32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Ok((number(0), number(4), fds.pop()))
}

/// `hull-remap` has the same.
const VERSION: i32 = 1;
/// Descriptors of a request at most.
const MOST: usize = 16;
const CONTROL: RawFd = -1;
const FILE: RawFd = -2;
const LISTENER: RawFd = -3;
const WRITTEN: RawFd = -4;
const NAME_BYTES: usize = 32;
const REQUEST_BYTES: usize = 8 + 4 * MOST + NAME_BYTES;
const ANSWER_BYTES: usize = 8;
const STDOUT: RawFd = 1;
const STDERR: RawFd = 2;
/// A clone takes some milliseconds; a loaded machine may take many times that.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(2);
/// How often it is looked whether a process that does not answer can.
const LOOK: Duration = Duration::from_millis(250);
/// What `hull-remap` says of descriptors that a fork would share.
const UNSHAREABLE: i32 = rustix::io::Errno::BADFD.raw_os_error();

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const BUSY: i32 = rustix::io::Errno::BUSY.raw_os_error();

    fn null() -> OwnedFd {
        File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn a_request_says_what_each_descriptor_is_for() {
        let targets = [(CONTROL, null()), (7, null()), (FILE, null()), (FILE, null())];
        let bytes = request("name", &targets);
        // hull-remap reads 104 bytes: two numbers, sixteen targets, the name.
        assert_eq!(bytes.len(), 104);
        let numbers: Vec<_> = bytes
            .chunks_exact(4)
            .map(|number| i32::from_ne_bytes(number.try_into().unwrap()))
            .take(2 + MOST)
            .collect();
        assert_eq!(numbers[..6], [1, 4, -1, 7, -2, -2]);
        assert!(numbers[6..].iter().all(|number| *number == 0));
        assert_eq!(&bytes[72..77], b"name\0");
    }

    #[test]
    fn a_long_name_is_cut() {
        let name = "n".repeat(100);
        assert_eq!(request(&name, &[])[72..], [b'n'; NAME_BYTES]);
    }

    #[tokio::test]
    async fn a_process_that_has_gone_is_told_apart_from_a_refusal() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let error = ask(&ours, None, "name", &[(CONTROL, null())]).await.unwrap_err();
        assert!(matches!(error, CloneError::Connection(_)), "{error:?}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn who_is_stopped_is_not_waited_for() {
        use rustix::process::{Pid, Signal, kill_process};

        let mut process = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        kill_process(Pid::from_child(&process), Signal::STOP).unwrap();
        let targets = [(CONTROL, null())];
        let asked = ask(&ours, Some(process.id()), "name", &targets).await;
        process.kill().unwrap();
        process.wait().unwrap();
        drop(theirs);
        assert!(matches!(asked, Err(CloneError::Stopped(pid)) if pid == process.id()), "{asked:?}");
    }

    #[tokio::test]
    async fn too_many_descriptors_are_refused_before_anything_is_sent() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let targets: Vec<_> = (0..=MOST).map(|_| (FILE, null())).collect();
        let error = ask(&ours, None, "name", &targets).await.unwrap_err();
        assert!(matches!(error, CloneError::Connection(_)), "{error:?}");
        assert!(theirs.try_read(&mut [0]).is_err());
    }

    #[tokio::test]
    async fn descriptors_arrive_and_a_refusal_is_understood() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let file = File::open("/dev/null").unwrap();
        let answering = tokio::spawn(async move {
            let (mut bytes, mut fds) = ([0; REQUEST_BYTES], Vec::new());
            let receive = || descriptors::receive(&theirs, &mut bytes, &mut fds);
            let received = theirs.async_io(Interest::READABLE, receive).await.unwrap();
            assert_eq!(received, REQUEST_BYTES);
            let inodes = fds.into_iter().map(|fd| File::from(fd).metadata().unwrap().ino());
            let inodes: Vec<_> = inodes.collect();
            theirs.writable().await.unwrap();
            let refusal = [BUSY.to_ne_bytes(), [0; 4]].concat();
            assert_eq!(theirs.try_write(&refusal).unwrap(), ANSWER_BYTES);
            inodes
        });
        let targets = [(CONTROL, file.try_clone().unwrap().into()), (3, null())];
        let error = ask(&ours, None, "name", &targets).await.unwrap_err();
        let CloneError::Refused(error) = error else { panic!("{error:?}") };
        assert_eq!(error.raw_os_error(), Some(BUSY));
        let inode = file.metadata().unwrap().ino();
        assert_eq!(answering.await.unwrap(), [inode, inode]);
    }
}
