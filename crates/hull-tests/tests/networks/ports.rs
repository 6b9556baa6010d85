//! Published ports.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use hull_tests::{Home, Image, eventually};

#[test]
fn published_ports() {
    let (_registry, home, image) = Home::with_busybox();
    let server = "mkdir /www; echo hello > /www/index.html; httpd -p 80 -h /www; \
                  while true; do nc -l -p 81 -e cat; done";
    let run = |name: &str, ports: &[&str]| {
        let mut arguments = vec!["run", "-d", "--name", name];
        arguments.extend(ports);
        arguments.extend([&*image, "sh", "-c", server]);
        home.hull(&arguments)
    };
    run("web", &["-p", "127.0.0.1::80", "-p", "127.0.0.1::81", "--expose", "9/udp"]).success();
    let shown = home.hull(&["port", "web"]).success();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("80/tcp -> 127.0.0.1:"), "{shown}");
    let of = |line: &str| line.rsplit(' ').next().unwrap_or_default().to_owned();
    let (http, echo) = (of(lines[0]), of(lines[1]));
    assert_eq!(home.hull(&["port", "web", "80"]).success(), http);
    let row = home.hull(&["ps", "--format", "{{.Ports}}"]).success();
    assert!(row.contains(&format!("{http}->80/tcp")) && row.contains("9/udp"), "{row}");

    // Whatever the server's first connection waits for.
    let fetch = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(&http)?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while !fetch().is_ok_and(|text| text.ends_with("hello\n")) {
        assert!(Instant::now() < deadline, "no answer through {http}");
        thread::sleep(Duration::from_millis(50));
    }
    // Half-closed: what is on its way arrives, both ways.
    let sent: Vec<u8> = (0..2_000_000_u32).map(|number| number as u8).collect();
    let mut stream = TcpStream::connect(&echo).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let data = sent.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&data).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    writing.join().unwrap();
    assert!(received == sent, "{} of {} bytes came back", received.len(), sent.len());

    // A port that is taken is an error before the container runs, and nothing of it stays.
    let taken = run("late", &["-p", "127.0.0.1::82", "-p", &format!("{http}:80")]);
    assert_eq!(taken.code, 125);
    assert!(taken.errors().contains("port is already allocated"), "{}", taken.errors());
    assert_eq!(home.hull(&["inspect", "-f", "{{.State.Status}}", "late"]).success(), "created");
}

/// Echoes: TCP on port 80, as many as come, and UDP on port 53, with the client's port after it.
const ECHO: &str = r#"
import select, socket, threading
def datagrams():
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("", 53))
    while True:
        data, client = udp.recvfrom(65535)
        udp.sendto(data + b" %d" % client[1], client)
threading.Thread(target=datagrams).start()
server = socket.create_server(("", 80), backlog=4096)
clients = {server.fileno(): server}
poll = select.epoll()
poll.register(server, select.EPOLLIN)
while True:
    for fd, _ in poll.poll():
        if fd == server.fileno():
            client, _ = server.accept()
            clients[client.fileno()] = client
            poll.register(client, select.EPOLLIN)
        else:
            data = clients[fd].recv(65536)
            if data:
                clients[fd].sendall(data)
            else:
                poll.unregister(fd)
                clients.pop(fd).close()
"#;

#[test]
fn many_connections_and_datagrams_at_once() {
    const CONNECTIONS: usize = 1000;
    let home = Home::new();
    home.load(Image::Python);
    home.hull(&[
        "run",
        "-d",
        "--name",
        "echo",
        "--ulimit",
        "nofile=4096:4096",
        "-p",
        "127.0.0.1::80",
        "-p",
        "127.0.0.1::53/udp",
        "-p",
        "[::1]::80",
        "python",
        "python3",
        "-c",
        ECHO,
    ])
    .success();
    let shown = home.hull(&["port", "echo"]).success();
    let of = |part: &str| {
        let line =
            shown.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{shown}"));
        line.rsplit(' ').next().unwrap().to_owned()
    };
    let (tcp, udp, v6) = (of("80/tcp -> 127"), of("53/udp"), of("80/tcp -> [::1]"));
    let echo = |address: &str| -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"hello")?;
        stream.shutdown(Shutdown::Write)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    eventually("the server answers", || echo(&tcp).is_ok_and(|text| text == "hello"));
    assert_eq!(echo(&v6).unwrap(), "hello");

    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(&tcp).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        streams.push(stream);
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        stream.write_all(format!("{number:08}").as_bytes()).unwrap();
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, format!("{number:08}").as_bytes());
    }

    // Each client has a flow of its own and keeps it.
    let clients: Vec<UdpSocket> = (0..20)
        .map(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            socket.connect(&udp).unwrap();
            socket
        })
        .collect();
    let round = || -> Vec<String> {
        for (number, client) in clients.iter().enumerate() {
            client.send(number.to_string().as_bytes()).unwrap();
        }
        let receive = |client: &UdpSocket| {
            let mut buffer = [0; 100];
            let length = client.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        clients.iter().map(receive).collect()
    };
    let first = round();
    assert_eq!(round(), first);
    let mut ports: Vec<&str> = first.iter().map(|text| text.rsplit(' ').next().unwrap()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), clients.len(), "{first:?}");
    let large = vec![b'x'; 40_000];
    clients[0].send(&large).unwrap();
    let mut buffer = vec![0; 65_536];
    assert!(clients[0].recv(&mut buffer).unwrap() > large.len());
}
