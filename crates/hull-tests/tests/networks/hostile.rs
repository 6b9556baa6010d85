//! Containers that want to be somebody else, or somewhere else.

use hull_tests::{Home, Image};

use crate::{idle, sh};

#[test]
fn nobody_takes_the_address_of_another() {
    let (_registry, home, image) = Home::with_busybox();
    home.hull(&["network", "create", "--subnet", "10.97.0.0/24", "net"]).success();
    idle(&home, &image, "victim", "net", &["--ip", "10.97.0.9"]);
    let attack = "ip addr add 10.97.0.50/24 dev eth0; \
                  ping -c 1 -W 5 10.97.0.9 >/dev/null && echo own address works; \
                  ping -c 1 -W 1 -I 10.97.0.50 10.97.0.9 >/dev/null || echo other address fails; \
                  arping -c 1 -w 1 -U -s 10.97.0.9 -I eth0 10.97.0.1 >/dev/null 2>&1; \
                  ip link set eth0 down; ip link set eth0 address 02:42:0a:61:00:09; \
                  ip link set eth0 up; ip route add 10.97.0.0/24 dev eth0 2>/dev/null; \
                  ping -c 1 -W 1 10.97.0.9 >/dev/null || echo other hardware address fails";
    let seen = home
        .hull(&[
            "run",
            "--rm",
            "--network",
            "net",
            "--cap-add",
            "NET_ADMIN",
            &image,
            "sh",
            "-c",
            attack,
        ])
        .success();
    for line in ["own address works", "other address fails", "other hardware address fails"] {
        assert!(seen.contains(line), "{line}: {seen}");
    }
    let seen = sh(&home, "victim", "ping -c 1 -W 5 10.97.0.1");
    assert!(seen.contains("1 packets received"), "{seen}");
}

/// Sends what a neighbour must not: `victim` and `gateway` are addresses of IPv6. Raw sockets of the
/// packet family need no more than root in one's own machine.
const FORGE: &str = r#"
import fcntl, ipaddress, socket, struct, sys
mac = bytes.fromhex(open("/sys/class/net/eth0/address").read().strip().replace(":", ""))
own, victim, gateway, other = [ipaddress.IPv6Address(text).packed for text in sys.argv[1:5]]
packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
packet.bind(("eth0", 0))
everybody = ipaddress.IPv6Address("ff02::1").packed
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
def send(source_mac, source, kind, body):
    icmp = bytes([kind, 0, 0, 0]) + body
    pseudo = source + everybody + struct.pack("!II", len(icmp), 58)
    icmp = icmp[:2] + struct.pack("!H", checksum(pseudo + icmp)) + icmp[4:]
    ip = struct.pack("!IHBB", 6 << 28, len(icmp), 58, 255) + source + everybody
    packet.send(bytes.fromhex("333300000001") + source_mac + b"\x86\xdd" + ip + icmp)
target_mac = b"\x02\x01" + mac
# "The other's address is here", from the own address and from the other's.
for source in (own, other):
    send(mac, source, 136, struct.pack("!I", 0x20000000) + other + target_mac)
# "I am a router, and this is your prefix."
prefix = b"\x03\x04\x40\xc0" + struct.pack("!III", 3600, 3600, 0)
prefix += ipaddress.IPv6Address("fd66::").packed
send(mac, own, 134, struct.pack("!BBHII", 64, 0, 1800, 0, 0) + b"\x01\x01" + mac + prefix)
# The same as if the gateway had said it, and with another hardware address.
send(mac, gateway, 134, struct.pack("!BBHII", 64, 0, 1800, 0, 0) + prefix)
send(b"\x02\x42\x00\x00\x00\x77", own, 136, struct.pack("!I", 0x20000000) + own + target_mac)
# What it may send arrives, or nothing above would have been proved.
try:
    socket.create_connection((sys.argv[2], 9), timeout=10)
except ConnectionRefusedError:
    print("sent")
"#;

#[test]
fn nobody_answers_for_another_in_ipv6() {
    let home = Home::new();
    home.load(Image::Busybox);
    home.load(Image::Python);
    home.hull(&["network", "create", "--ipv6", "--subnet", "fd77::/64", "net"]).success();
    idle(&home, "busybox", "victim", "net", &["--ip6", "fd77::9"]);
    idle(&home, "busybox", "other", "net", &["--ip6", "fd77::10"]);
    // The victim knows its neighbour before anybody lies about him.
    assert!(sh(&home, "victim", "ping -6 -c 1 -W 5 other").contains("1 packets received"));
    let before = sh(&home, "victim", "ip -6 neigh show fd77::10; ip -6 addr; ip -6 route");
    let run =
        ["run", "--rm", "--network", "net", "--ip6", "fd77::66", "python", "python3", "-c", FORGE];
    let arguments = ["fd77::66", "fd77::9", "fd77::1", "fd77::10"];
    assert_eq!(home.hull(&[&run[..], &arguments].concat()).success(), "sent");
    assert!(sh(&home, "victim", "ping -6 -c 1 -W 5 other").contains("1 packets received"));
    let after = sh(&home, "victim", "ip -6 neigh show fd77::10; ip -6 addr; ip -6 route");
    let hardware = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("fd77::10 ")).unwrap().to_owned();
        line.split(" lladdr ").nth(1).unwrap().split(' ').next().unwrap().to_owned()
    };
    assert_eq!(hardware(&before), hardware(&after));
    assert!(!after.contains("fd66:"), "{after}");
    assert_eq!(before.contains("default"), after.contains("default"), "{after}");
}
