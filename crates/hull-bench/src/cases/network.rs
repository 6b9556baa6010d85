//! Networks: what they cost a start, and what passes through them.
//!
//! Data goes from this process into a container: straight from a socket inside the containers'
//! namespace, and through a published port. Times are of the same work each, so that the lower is
//! the better here, too.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::io::ioctl_fionbio;

use super::Case;
use crate::bench::Bench;
use crate::command::timed;
use crate::failure::Failure;
use crate::hull::{Configuration, Hull};
use crate::interrupt::pause;
use crate::report::{Figure, Report, Target, Unit};
use crate::sample::{Subject, interleave};

pub(super) const CASE: Case =
    Case { name: "network", about: "starts with a network, names, ports and throughput", run };

/// Swallows on one port, answers on another.
const SERVE: &str = "printf '#!/bin/sh\\nexec cat >/dev/null\\n' >/sink; chmod 755 /sink; \
                     nc -ll -p 5000 -e /sink & exec nc -ll -p 5001 -e cat";

fn run(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let hull = bench.hull(Configuration::Default)?;
    let image = bench.busybox();
    let start = |network: &str| -> Result<Duration, Failure> {
        let arguments = ["run", "--rm", "--network", network, &image, "true"];
        Ok(timed(&mut hull.home().command(&arguments))?.took)
    };
    start("none")?;
    start("bridge")?;
    let subjects = vec![
        Subject::new("start without a network", || start("none")),
        Subject::new("start with a network", || start("bridge")),
    ];
    report.samples.extend(interleave(bench.rounds, subjects)?);
    report.ratio("start with a network", "start without a network", Target::at_most(1.25));

    let place = Place::new(&hull, &image)?;
    let size = bench.scaled(64, 4) << 20;
    let data = |stream: std::io::Result<TcpStream>| pour(stream, size);
    let subjects = vec![
        Subject::new("data from inside", || data(place.inside(place.address, 5000))),
        Subject::new("data through a port", || data(TcpStream::connect(place.sink))),
        Subject::new("data between containers", || place.between(size)),
    ];
    report.samples.extend(interleave(bench.scaled(bench.rounds.min(10), 2), subjects)?);
    report.note(format!("data: {} MiB", size >> 20));
    // Four fifths of the throughput.
    report.ratio("data through a port", "data from inside", Target::at_most(1.25));
    report.ratio("data between containers", "data from inside", Target::NONE);

    let subjects = vec![
        Subject::new("connection from inside", || ping(place.inside(place.address, 5001))),
        Subject::new("connection through a port", || ping(TcpStream::connect(place.echo))),
        Subject::new("answer to a name", || place.name()),
    ];
    report.samples.extend(interleave(bench.rounds, subjects)?);
    report.ratio("connection through a port", "connection from inside", Target::NONE);
    let answer = report.samples.iter().find(|sample| sample.name == "answer to a name");
    if let Some(median) = answer.map(|sample| sample.median()) {
        let target = Target::at_most(2.0);
        report.figures.push(Figure::new("answer to a name", median, Unit::Milliseconds, target));
    }
    hull.remove("client")?;
    hull.remove("server")
}

/// Two containers in a network.
struct Place<'a> {
    hull: &'a Hull,
    address: IpAddr,
    gateway: IpAddr,
    sink: SocketAddr,
    echo: SocketAddr,
}

impl<'a> Place<'a> {
    fn new(hull: &'a Hull, image: &str) -> Result<Self, Failure> {
        hull.run(&["network", "create", "bench"])?;
        let base = ["run", "-d", "--stop-signal", "SIGKILL", "--network", "bench", "--name"];
        let ports = ["server", "-p", "127.0.0.1::5000", "-p", "127.0.0.1::5001"];
        hull.run(&[&base[..], &ports, &[image, "sh", "-c", SERVE]].concat())?;
        hull.run(&[&base[..], &["client", image, "sleep", "100000"]].concat())?;
        let network = "{{.NetworkSettings.Networks.bench.IPAddress}} \
                       {{.NetworkSettings.Networks.bench.Gateway}}";
        let shown = hull.run(&["inspect", "-f", network, "server"])?.stdout;
        let unexpected = |text: &str| Failure::Unexpected(format!("no address: {text:?}"));
        let mut addresses = shown.split(' ').map(|text| text.parse::<IpAddr>());
        let (Some(Ok(address)), Some(Ok(gateway))) = (addresses.next(), addresses.next()) else {
            return Err(unexpected(&shown));
        };
        let port = |number: &str| -> Result<SocketAddr, Failure> {
            let shown = hull.run(&["port", "server", number])?.stdout;
            shown.parse().map_err(|_| unexpected(&shown))
        };
        let place = Self { hull, address, gateway, sink: port("5000")?, echo: port("5001")? };
        let deadline = Instant::now() + Duration::from_secs(20);
        while ping(TcpStream::connect(place.echo)).is_err() && Instant::now() < deadline {
            pause(Duration::from_millis(100))?;
        }
        Ok(place)
    }

    /// Connects from a socket inside the namespace.
    fn inside(&self, address: IpAddr, port: u16) -> std::io::Result<TcpStream> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let home = self.hull.home().path();
        let reached = runtime
            .block_on(hull_network::client::reach(home, &address.to_string()))
            .map_err(std::io::Error::other)?;
        ioctl_fionbio(&reached.1, false)?;
        rustix::net::connect(&reached.1, &SocketAddr::new(address, port))?;
        Ok(TcpStream::from(reached.1))
    }

    /// Takes the time of data from one container to the other, without that of the command.
    fn between(&self, size: usize) -> Result<Duration, Failure> {
        let line = format!(
            "dd if=/dev/zero bs=64k count={} 2>/dev/null | nc {} 5000",
            size >> 16,
            self.address
        );
        Ok(self.hull.run(&["exec", "client", "sh", "-c", &line])?.took)
    }

    /// Asks the server on the gateway, which every process of the namespace may ask for this name.
    fn name(&self) -> Result<Duration, Failure> {
        let mut stream = self.inside(self.gateway, 53).map_err(failed)?;
        let name = b"\x04host\x06docker\x08internal\x00";
        let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend(name);
        query.extend([0, 1, 0, 1]);
        let begin = Instant::now();
        ask(&mut stream, &query).map_err(failed)?;
        Ok(begin.elapsed())
    }
}

/// Sends `size` bytes and waits until they have been swallowed.
fn pour(stream: std::io::Result<TcpStream>, size: usize) -> Result<Duration, Failure> {
    let begin = Instant::now();
    let exchange = || -> std::io::Result<()> {
        let mut stream = stream?;
        let piece = vec![0; 128 << 10];
        for _ in 0..size / piece.len() {
            stream.write_all(&piece)?;
        }
        stream.shutdown(Shutdown::Write)?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    };
    exchange().map_err(failed)?;
    Ok(begin.elapsed())
}

/// Asks a server for names over TCP and waits for its answer.
fn ask(stream: &mut TcpStream, query: &[u8]) -> std::io::Result<()> {
    let length = query.len() as u16;
    stream.write_all(&[&length.to_be_bytes()[..], query].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut answer)
}

/// Has one byte come back.
fn ping(stream: std::io::Result<TcpStream>) -> Result<Duration, Failure> {
    let begin = Instant::now();
    let exchange = || -> std::io::Result<()> {
        let mut stream = stream?;
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])
    };
    exchange().map_err(failed)?;
    Ok(begin.elapsed())
}

fn failed(error: std::io::Error) -> Failure {
    Failure::Unexpected(format!("a connection broke off: {error}"))
}
