use std::net::Ipv6Addr;

use super::*;
use crate::protocol::Segment;

/// Runs a program of the few instructions that [`super`] writes; `None` beyond the frame's end.
fn run(program: &[Instruction], frame: &[u8]) -> Option<u32> {
    let (mut accumulator, mut index, mut place) = (0_u32, 0_usize, 0_usize);
    loop {
        let Instruction { code, then, otherwise, value } = program[place];
        place += 1;
        let load = |offset: usize, size: usize| -> Option<u32> {
            let bytes = frame.get(offset..offset + size)?;
            Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
        };
        let size = match code & 0x18 {
            WORD => 4,
            HALF => 2,
            _ => 1,
        };
        match code {
            RETURN => return Some(value),
            JUMP => place += value as usize,
            JUMP_EQUAL if accumulator == value => place += usize::from(then),
            JUMP_EQUAL => place += usize::from(otherwise),
            ADD => accumulator += value,
            SHIFT_LEFT => accumulator <<= value,
            TO_INDEX => index = accumulator as usize,
            code if value == VLAN_TAG_PRESENT && code == LOAD => accumulator = 0,
            code if code & 0xe7 == LOAD_INDEXED => {
                accumulator = load(index + value as usize, size)?;
            }
            code if code & 0xe7 == LOAD => accumulator = load(value as usize, size)?,
            code => panic!("unknown instruction {code:#x}"),
        }
    }
}

const MAC: [u8; 6] = [2, 0x42, 10, 0, 0, 2];
const OTHER: [u8; 6] = [2, 0x42, 10, 0, 0, 3];

fn passes(addresses: &[&str], frame: &[u8]) -> bool {
    let endpoint = Endpoint {
        network: Segment { mtu: 1500, ..Segment::default() },
        resolvers: vec![],
        mac: hull_netlink::Mac(MAC),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        links: Default::default(),
        names: vec![],
    };
    run(&program(&endpoint), frame) == Some(TC_ACT_OK)
}

fn frame(source: [u8; 6], kind: u32, payload: &[u8]) -> Vec<u8> {
    [&[0xff; 6][..], &source, &(kind as u16).to_be_bytes(), payload].concat()
}

fn arp_of(mac: [u8; 6], address: [u8; 4]) -> Vec<u8> {
    let body = [&[0, 1, 8, 0, 6, 4, 0, 2][..], &mac, &address, &[0; 10]].concat();
    frame(MAC, ARP, &body)
}

fn ip_from(address: [u8; 4]) -> Vec<u8> {
    let mut packet = vec![0; 40];
    packet[12..16].copy_from_slice(&address);
    frame(MAC, IPV4, &packet)
}

fn ip6_from(address: &str, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 40];
    packet[6] = next;
    packet[8..24].copy_from_slice(&address.parse::<Ipv6Addr>().unwrap().octets());
    packet.extend_from_slice(payload);
    packet.resize(packet.len() + 40, 0);
    frame(MAC, IPV6, &packet)
}

fn advertisement(target: &str) -> Vec<u8> {
    [&[136, 0, 0, 0, 0, 0, 0, 0][..], &target.parse::<Ipv6Addr>().unwrap().octets()].concat()
}

const V4: &[&str] = &["10.0.0.2/24"];
const V6: &[&str] = &["10.0.0.2/24", "fd00::2/64"];

#[test]
fn own_frames_pass() {
    assert!(passes(V4, &arp_of(MAC, [10, 0, 0, 2])));
    assert!(passes(V4, &arp_of(MAC, [0; 4])), "a probe");
    assert!(passes(V4, &ip_from([10, 0, 0, 2])));
    let link_local = hull_netlink::Mac(MAC).link_local().to_string();
    for source in ["fd00::2", "::", &link_local] {
        assert!(passes(V6, &ip6_from(source, 6, &[])), "{source}");
        assert!(passes(V6, &ip6_from(source, 58, &[135, 0])), "{source}");
        // A listener report, with its router alert.
        let report = [58, 0, 5, 2, 0, 0, 1, 0, 143];
        assert!(passes(V6, &ip6_from(source, 0, &report)), "{source}");
    }
    assert!(passes(V6, &ip6_from("fd00::2", 58, &advertisement("fd00::2"))));
    assert!(passes(V6, &ip6_from("fd00::2", 58, &advertisement(&link_local))));
    assert!(passes(V6, &ip6_from("fd00::2", 44, &[6])));
}

#[test]
fn addresses_of_others_do_not() {
    assert!(!passes(V4, &frame(OTHER, IPV4, &ip_from([10, 0, 0, 2])[14..])));
    assert!(!passes(V4, &arp_of(OTHER, [10, 0, 0, 2])));
    assert!(!passes(V4, &arp_of(MAC, [10, 0, 0, 3])));
    assert!(!passes(V4, &ip_from([10, 0, 0, 3])));
    assert!(!passes(V4, &ip_from([0; 4])));
    assert!(!passes(V6, &ip6_from("fd00::3", 6, &[])));
    assert!(!passes(V6, &ip6_from("fe80::1", 6, &[])));
    assert!(!passes(V4, &ip6_from("::", 58, &[135])), "no IPv6 where there is no address");
    assert!(!passes(V6, &ip6_from("fd00::2", 58, &advertisement("fd00::1"))));
}

#[test]
fn nothing_hides_behind_other_headers() {
    assert!(!passes(V6, &ip6_from("fd00::2", 58, &[134])));
    assert!(!passes(V6, &ip6_from("fd00::2", 58, &[137])));
    for extension in [0, 43, 60] {
        for length in [0_u8, 1] {
            let mut packet = vec![0; (usize::from(length) + 1) * 8];
            (packet[0], packet[1]) = (58, length);
            packet.push(136);
            assert!(!passes(V6, &ip6_from("fd00::2", extension, &packet)), "{extension} {length}");
            packet[0] = 60;
            assert!(!passes(V6, &ip6_from("fd00::2", extension, &packet)), "{extension} {length}");
        }
    }
    assert!(!passes(V6, &ip6_from("fd00::2", 44, &[58])));
    for kind in [0x8100, 0x88a8, 0x88cc, 0x0026] {
        assert!(!passes(V6, &frame(MAC, kind, &[0; 60])), "{kind:#x}");
    }
}

#[test]
fn programs_have_a_length_that_the_kernel_takes() {
    let many: Vec<String> = (0..16).map(|number| format!("fd00::{number}/64")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(passes(&many, &ip6_from("fd00::9", 6, &[])));
}
