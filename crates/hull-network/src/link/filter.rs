//! What a container may send: frames from its own addresses only.
//!
//! A classic BPF program at the tap's ingress (tc-bpf(8), direct action). A container may have root
//! and raw sockets in its machine: without this it could answer for others' addresses. What a frame
//! is too short for ends the program, and the frame goes on; whoever gets it finds it too short,
//! too.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hull_netlink::{Message, Socket, flags};

use crate::protocol::Endpoint;

/// Attaches `program` to the interface `index`, once.
pub(super) fn attach(socket: &mut Socket, index: u32, program: &[Instruction]) -> io::Result<()> {
    let create = flags::ACK | flags::CREATE | flags::EXCLUSIVE;
    let qdisc = Message::new(NEW_QDISC, create, &header(index, INGRESS_HANDLE, INGRESS_PARENT, 0))
        .put_text(KIND, "ingress");
    socket.request(&qdisc)?;
    let bytes: Vec<u8> = program.iter().flat_map(|instruction| instruction.bytes()).collect();
    let all_protocols = u32::from(ETH_P_ALL.to_be());
    let info = PRIORITY << 16 | all_protocols;
    let filter = Message::new(NEW_FILTER, create, &header(index, 0, INGRESS_HANDLE, info))
        .put_text(KIND, "bpf")
        .nest(OPTIONS, |options| {
            options
                .put(BPF_OPS_LEN, &(program.len() as u16).to_ne_bytes())
                .put(BPF_OPS, &bytes)
                .put_u32(BPF_FLAGS, BPF_DIRECT_ACTION)
        });
    socket.request(&filter).map(drop)
}

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Instruction {
    code: u16,
    /// Instructions to skip if a comparison holds, and if not.
    then: u8,
    otherwise: u8,
    value: u32,
}

impl Instruction {
    fn bytes(self) -> [u8; 8] {
        let [a, b] = self.code.to_ne_bytes();
        let [c, d, e, f] = self.value.to_ne_bytes();
        [a, b, self.then, self.otherwise, c, d, e, f]
    }
}

/// Returns the program that lets pass what `endpoint` may send.
pub(super) fn program(endpoint: &Endpoint) -> Vec<Instruction> {
    let mut v4 = Vec::new();
    let mut v6 = Vec::new();
    for address in &endpoint.addresses {
        match address.address {
            IpAddr::V4(address) => v4.push(address),
            IpAddr::V6(address) => v6.push(address),
        }
    }
    // A link-local address is where every use of IPv6 begins.
    let has_v6 = !v6.is_empty();
    if has_v6 {
        v6.push(endpoint.mac.link_local());
    }
    let [a, b, c, d, e, f] = endpoint.mac.0;
    let mac = (u32::from_be_bytes([a, b, c, d]), u32::from(u16::from_be_bytes([e, f])));
    let arp = arp(mac, &v4);
    let ip = ip(&v4);
    let ip6 = ip6(&v6);

    let mut all = vec![
        // Tags would hide what is behind them.
        load(WORD, VLAN_TAG_PRESENT),
        unless(0, Goal::Drop),
        load(WORD, 6),
        unless(mac.0, Goal::Drop),
        load(HALF, 10),
        unless(mac.1, Goal::Drop),
        load(HALF, 12),
    ];
    let kinds = [(ARP, arp), (IPV4, ip), (IPV6, ip6)];
    for (kind, part) in kinds {
        // Each part ends for itself.
        all.push(skip_unless(kind, part.len()));
        all.extend(part);
    }
    all.push(Step::End(Goal::Drop));
    resolve(&all)
}

/// Requests and answers of RFC 826, and probes (RFC 5227), for no address but the own.
fn arp(mac: (u32, u32), addresses: &[Ipv4Addr]) -> Vec<Step> {
    let mut part = vec![
        // Ethernet and IPv4, with addresses of 6 and 4 bytes.
        load(WORD, 14),
        unless(0x0001_0800, Goal::Drop),
        load(HALF, 18),
        unless(0x0604, Goal::Drop),
        load(WORD, 22),
        unless(mac.0, Goal::Drop),
        load(HALF, 26),
        unless(mac.1, Goal::Drop),
        load(WORD, 28),
        when(0, Goal::Pass),
    ];
    part.extend(addresses.iter().map(|address| when(address.to_bits(), Goal::Pass)));
    part.push(Step::End(Goal::Drop));
    part
}

fn ip(addresses: &[Ipv4Addr]) -> Vec<Step> {
    let mut part = vec![load(WORD, 26)];
    part.extend(addresses.iter().map(|address| when(address.to_bits(), Goal::Pass)));
    part.push(Step::End(Goal::Drop));
    part
}

fn ip6(addresses: &[Ipv6Addr]) -> Vec<Step> {
    if addresses.is_empty() {
        return vec![Step::End(Goal::Drop)];
    }
    // Without an address one asks whether an address is free (RFC 4862), and says which groups one
    // is in.
    let unspecified = [Ipv6Addr::UNSPECIFIED];
    let sources: Vec<_> = addresses.iter().chain(&unspecified).copied().collect();
    let target = one_of(62, addresses, Goal::Pass);
    let extended = vec![
        // The header after the extension, if it is neighbour discovery or one more extension.
        load(BYTE, 55),
        Step::Plain(ADD, 1),
        Step::Plain(SHIFT_LEFT, 3),
        Step::Plain(TO_INDEX, 0),
        load(BYTE, 54),
        when(HOP_BY_HOP, Goal::Drop),
        when(ROUTING, Goal::Drop),
        when(FRAGMENT, Goal::Drop),
        when(DESTINATION, Goal::Drop),
        unless(ICMP6, Goal::Pass),
        Step::Plain(LOAD_INDEXED | BYTE, 54),
        when(ROUTER_ADVERTISEMENT, Goal::Drop),
        when(NEIGHBOUR_SOLICITATION, Goal::Drop),
        when(NEIGHBOUR_ADVERTISEMENT, Goal::Drop),
        when(REDIRECT, Goal::Drop),
        Step::End(Goal::Pass),
    ];
    let mut discovery = vec![
        load(BYTE, 54),
        when(ROUTER_ADVERTISEMENT, Goal::Drop),
        when(REDIRECT, Goal::Drop),
        unless(NEIGHBOUR_ADVERTISEMENT, Goal::Pass),
    ];
    discovery.extend(target);
    discovery.push(Step::End(Goal::Drop));

    let own = one_of(22, &sources, Goal::Next);
    let mut part = own;
    part.push(Step::End(Goal::Drop));
    // Where an address that is the own goes on.
    part.push(Step::Here);
    part.extend([load(BYTE, 20), skip_unless(ICMP6, discovery.len())]);
    part.extend(discovery);
    part.extend([
        load(BYTE, 20),
        skip_unless(FRAGMENT, 3),
        // Discovery in fragments is none (RFC 6980), but who knows who knows.
        load(BYTE, 54),
        when(ICMP6, Goal::Drop),
        Step::End(Goal::Pass),
    ]);
    for kind in [HOP_BY_HOP, ROUTING, DESTINATION] {
        part.push(skip_unless(kind, extended.len()));
        part.extend(extended.clone());
    }
    part.push(Step::End(Goal::Pass));
    part
}

/// Goes to `goal` if the 16 bytes at `offset` are one of `addresses`, else on.
fn one_of(offset: u32, addresses: &[Ipv6Addr], goal: Goal) -> Vec<Step> {
    let mut part = Vec::new();
    for address in addresses {
        let bits = address.to_bits();
        let word = |shift: u32| (bits >> shift) as u32;
        part.extend([
            load(WORD, offset),
            skip_unless(word(96), 6),
            load(WORD, offset + 4),
            skip_unless(word(64), 4),
            load(WORD, offset + 8),
            skip_unless(word(32), 2),
            load(WORD, offset + 12),
            when(word(0), goal),
        ]);
    }
    part
}

/// An instruction whose jumps have names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Plain(u16, u32),
    /// Jumps if the accumulator is the value.
    When(u32, Goal),
    Unless(u32, Goal),
    /// Skips that many steps unless the accumulator is the value.
    SkipUnless(u32, usize),
    End(Goal),
    /// What [`Goal::Next`] means before it.
    Here,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Goal {
    Drop,
    Next,
    Pass,
}

fn load(size: u16, offset: u32) -> Step {
    Step::Plain(LOAD | size, offset)
}

fn when(value: u32, goal: Goal) -> Step {
    Step::When(value, goal)
}

fn unless(value: u32, goal: Goal) -> Step {
    Step::Unless(value, goal)
}

fn skip_unless(value: u32, steps: usize) -> Step {
    Step::SkipUnless(value, steps)
}

/// Gives every jump its distance. Conditional jumps reach 255 instructions only, so each jumps over
/// an unconditional one or an end.
fn resolve(steps: &[Step]) -> Vec<Instruction> {
    let size = |step: &Step| match step {
        Step::Plain(..) | Step::End(_) => 1,
        Step::When(..) | Step::Unless(..) | Step::SkipUnless(..) => 2,
        Step::Here => 0,
    };
    let mut places = Vec::with_capacity(steps.len());
    let mut place = 0_usize;
    for step in steps {
        places.push(place);
        place += size(step);
    }
    let end = place;
    let to = |from: usize, target: usize| plain(JUMP, (target - from - 1) as u32);
    let goal = |number: usize, from: usize, goal: Goal| match goal {
        Goal::Drop => plain(RETURN, TC_ACT_SHOT),
        Goal::Pass => plain(RETURN, TC_ACT_OK),
        Goal::Next => {
            let later = steps[number..].iter().position(|step| *step == Step::Here);
            to(from, later.map_or(end, |later| places[number + later]))
        }
    };
    let mut program = Vec::with_capacity(end);
    for (number, step) in steps.iter().enumerate() {
        let place = places[number];
        match *step {
            Step::Plain(code, value) => program.push(plain(code, value)),
            Step::When(value, wanted) => {
                program.push(Instruction { code: JUMP_EQUAL, then: 0, otherwise: 1, value });
                program.push(goal(number, place + 1, wanted));
            }
            Step::Unless(value, wanted) => {
                program.push(Instruction { code: JUMP_EQUAL, then: 1, otherwise: 0, value });
                program.push(goal(number, place + 1, wanted));
            }
            Step::SkipUnless(value, count) => {
                let target = places.get(number + 1 + count).copied().unwrap_or(end);
                program.push(Instruction { code: JUMP_EQUAL, then: 1, otherwise: 0, value });
                program.push(to(place + 1, target));
            }
            Step::End(wanted) => program.push(goal(number, place, wanted)),
            Step::Here => {}
        }
    }
    program
}

fn plain(code: u16, value: u32) -> Instruction {
    Instruction { code, then: 0, otherwise: 0, value }
}

/// `struct tcmsg`.
fn header(index: u32, handle: u32, parent: u32, info: u32) -> [u8; 20] {
    let mut header = [0; 20];
    for (place, value) in [(4, index), (8, handle), (12, parent), (16, info)] {
        header[place..place + 4].copy_from_slice(&value.to_ne_bytes());
    }
    header
}

/// Codes of `linux/bpf_common.h`.
const LOAD: u16 = 0x20;
const LOAD_INDEXED: u16 = 0x40;
const WORD: u16 = 0x00;
const HALF: u16 = 0x08;
const BYTE: u16 = 0x10;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const ADD: u16 = 0x04;
const SHIFT_LEFT: u16 = 0x64;
const TO_INDEX: u16 = 0x07;
/// `SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT` of `linux/filter.h`.
const VLAN_TAG_PRESENT: u32 = (-0x1000_i32 + 48) as u32;
/// Ethernet's numbers of protocols.
const ARP: u32 = 0x0806;
const IPV4: u32 = 0x0800;
const IPV6: u32 = 0x86dd;
/// IPv6's numbers of headers.
const HOP_BY_HOP: u32 = 0;
const ROUTING: u32 = 43;
const FRAGMENT: u32 = 44;
const ICMP6: u32 = 58;
const DESTINATION: u32 = 60;
/// RFC 4861.
const ROUTER_ADVERTISEMENT: u32 = 134;
const NEIGHBOUR_SOLICITATION: u32 = 135;
const NEIGHBOUR_ADVERTISEMENT: u32 = 136;
const REDIRECT: u32 = 137;
/// `linux/pkt_cls.h`, `linux/pkt_sched.h`, `linux/rtnetlink.h`.
const TC_ACT_OK: u32 = 0;
const TC_ACT_SHOT: u32 = 2;
const INGRESS_HANDLE: u32 = 0xffff_0000;
const INGRESS_PARENT: u32 = 0xffff_fff1;
const NEW_QDISC: u16 = 36;
const NEW_FILTER: u16 = 44;
const KIND: u16 = 1;
const OPTIONS: u16 = 2;
const BPF_OPS_LEN: u16 = 4;
const BPF_OPS: u16 = 5;
const BPF_FLAGS: u16 = 8;
const BPF_DIRECT_ACTION: u32 = 1;
const ETH_P_ALL: u16 = 3;
const PRIORITY: u32 = 1;

#[cfg(test)]
mod tests;
