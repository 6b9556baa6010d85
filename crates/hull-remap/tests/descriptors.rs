//! What a process has open decides whether it can be forked. Skipped, with the reason, where the
//! library has not been built.
//!
//! The process is this program once more, which does nothing else if it is told so.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used, clippy::print_stdout, unsafe_code)]

use std::ffi::CString;
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use hull_socket::descriptors;
use rustix::io::FdFlags;

#[test]
fn what_a_fork_would_share_is_refused() {
    let Some(library) = library() else { return };
    for (kind, wanted) in [
        ("eventfd", 0),
        ("signalfd", 0),
        ("epoll", libc::EBADFD),
        ("io_uring", libc::EBADFD),
        ("inotify", libc::EBADFD),
        ("timerfd", libc::EBADFD),
    ] {
        let Some(process) = Process::start(&library, kind) else {
            println!("skipped: there is no {kind} here");
            continue;
        };
        let (control, its_control) = UnixStream::pair().unwrap();
        assert_eq!(process.ask(CONTROL, its_control.into()), wanted, "fork with {kind}");
        let (_listener, its_listener) = UnixStream::pair().unwrap();
        assert_eq!(process.ask(LISTENER, its_listener.into()), wanted, "listen with {kind}");
        if wanted == 0 {
            // The fork ends with its owner, and with nothing else.
            control.set_nonblocking(true).unwrap();
            let still = (&control).read(&mut [0]).unwrap_err();
            assert_eq!(still.kind(), std::io::ErrorKind::WouldBlock, "fork with {kind}");
        } else {
            // Nobody has the other end.
            assert_eq!((&control).read(&mut [0]).unwrap(), 0, "fork with {kind}");
        }
    }
}

/// A process with something open, and its owner's end of the connection.
struct Process {
    child: Child,
    control: UnixStream,
}

impl Process {
    /// Starts one; `None` if it cannot have that open.
    fn start(library: &PathBuf, kind: &str) -> Option<Self> {
        let (control, its_control) = UnixStream::pair().unwrap();
        let inherited = its_control.as_fd().try_clone_to_owned().unwrap();
        rustix::io::fcntl_setfd(&inherited, FdFlags::empty()).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env("LD_PRELOAD", library)
            .env("HULL_CONTROL_FD", inherited.as_raw_fd().to_string())
            .env(ROLE, kind)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0];
        let ready = child.stdout.as_mut().unwrap().read(&mut said).unwrap();
        (ready == 1).then_some(Self { child, control })
    }

    /// Asks for one thing, which comes with `fd`; returns the error of the answer.
    fn ask(&self, target: i32, fd: OwnedFd) -> i32 {
        let mut request = [0_u8; 104];
        for (place, number) in request.chunks_exact_mut(4).zip([1, 1, target]) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        descriptors::send(&self.control, &request, &[fd.as_fd()]).unwrap();
        let mut answer = [0; 8];
        let read = descriptors::receive(&self.control, &mut answer, &mut Vec::new()).unwrap();
        assert_eq!(read, 8);
        i32::from_ne_bytes(answer[..4].try_into().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Returns the library that is installed.
fn library() -> Option<PathBuf> {
    let dir = std::env::var_os("HULL_TEST_LIB").or_else(|| std::env::var_os("HULL_LIB"));
    let library = dir.map(|dir| PathBuf::from(dir).join("libhull_remap.so"));
    let library = library.filter(|library| library.exists());
    if library.is_none() {
        println!("skipped: neither HULL_TEST_LIB nor HULL_LIB says where libhull_remap.so is");
    }
    library
}

/// Called before the program runs, by the thread that the library takes for the main one.
#[used]
#[unsafe(link_section = ".init_array")]
static PLAY: extern "C" fn() = play;

extern "C" fn play() {
    let Ok(kind) = std::env::var(ROLE) else { return };
    let name = CString::new("/").unwrap();
    // SAFETY: each call is given what it reads and writes, if anything; nothing here is shared.
    unsafe {
        let mut signals: libc::sigset_t = std::mem::zeroed();
        let mut ring = [0_u8; 120];
        let fd = match kind.as_str() {
            "eventfd" => libc::eventfd(3, 0),
            "signalfd" => libc::signalfd(-1, &raw const signals, 0),
            "epoll" => libc::epoll_create1(0),
            "io_uring" => libc::syscall(libc::SYS_io_uring_setup, 4, ring.as_mut_ptr()) as i32,
            "inotify" => libc::inotify_init(),
            _ => libc::timerfd_create(libc::CLOCK_MONOTONIC, 0),
        };
        libc::sigemptyset(&raw mut signals);
        if fd < 0 {
            libc::_exit(1);
        }
        libc::write(1, name.as_ptr().cast(), 1);
        loop {
            libc::ppoll(std::ptr::null_mut(), 0, std::ptr::null(), &raw const signals);
        }
    }
}

/// What the process is to have open.
const ROLE: &str = "HULL_TEST_DESCRIPTOR";
const CONTROL: i32 = -1;
const LISTENER: i32 = -3;
