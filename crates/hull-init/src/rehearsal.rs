//! What the container does that a waiting machine is given for practice: what matters is everything
//! around it.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use crate::sys;

/// Does what containers do with their image, with what they are given, and with their streams.
pub(crate) fn perform() {
    // Nothing depends on it.
    let _ = File::open(DATA).map(|data| sys::touch_as_program(data.as_fd(), DATA_BYTES));
    let _ = fs::read(DATA);
    let file = format!("{SHARE}/file");
    let _ = fs::write(&file, "rehearsed")
        .and_then(|()| fs::read(&file))
        .and_then(|_| fs::metadata(&file))
        .and_then(|_| fs::read_dir(SHARE))
        .map(|entries| entries.count())
        .and_then(|_| fs::remove_file(&file));
    let _ = talk_to_itself().and_then(|()| talk_to_gateway());
    let _ = rustix::io::write(rustix::stdio::stdout(), b"rehearsed\n");
}

/// Has a connection with itself.
fn talk_to_itself() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    client.write_all(b"rehearsed")?;
    drop(client);
    server.read_to_end(&mut Vec::new()).map(drop)
}

/// Sends to its gateway, which has nobody to answer but says so.
fn talk_to_gateway() -> io::Result<()> {
    let gateway = SocketAddr::from((GATEWAY, DISCARD));
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(gateway)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(b"rehearsed")?;
    let _ = socket.recv(&mut [0]);
    TcpStream::connect_timeout(&gateway, PATIENCE).map(drop)
}

/// In the image that `hull_template::image` writes.
const DATA: &str = "/data";
/// A part of it.
const DATA_BYTES: usize = 512 << 10;
/// `hull-supervisor/src/server/wiring.rs` has it, too.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 1);
/// RFC 863.
const DISCARD: u16 = 9;
/// Where there is no such interface nobody says anything.
const PATIENCE: Duration = Duration::from_millis(300);
/// Where that container has a share; `hull_template::image::SHARE` is the same.
const SHARE: &str = "/share";
