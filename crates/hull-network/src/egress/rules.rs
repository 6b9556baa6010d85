//! Who may go where: nftables of the namespace, replaced as a whole.
//!
//! Nothing is forwarded but from bridges that have a way out to the interface that leads out, and
//! what answers that. Bridges do not reach each other.
//!
//! Sources: `linux/netfilter/nf_tables.h`, nft(8).

use std::io;

use hull_netlink::{Message, Socket, flags};

use super::INTERFACE;

/// Has exactly the bridges called `open` reach the outside.
pub(crate) fn apply(socket: &mut Socket, open: &[String]) -> io::Result<()> {
    let mut batch = vec![Message::new(BATCH_BEGIN, 0, &header(0, SUBSYSTEM))];
    // Made so that it can be removed whether it was there or not.
    for kind in [NEW_TABLE, REMOVE_TABLE, NEW_TABLE] {
        let flags = if kind == NEW_TABLE { flags::CREATE } else { 0 };
        batch.push(message(kind, flags).put_text(TABLE_NAME, TABLE));
    }
    batch.push(chain(FORWARD, "filter", HOOK_FORWARD, 0).put(CHAIN_POLICY, &DROP.to_be_bytes()));
    batch.push(chain(LEAVING, "nat", HOOK_POSTROUTING, PRIORITY_SOURCE_NAT));
    batch.push(rule(FORWARD, |rule| accept(is_answer(rule))));
    // Nobody in the namespace itself is reached from outside, but by answers to resolvers' sockets.
    // pasta sends segments that connection
    // tracking does not take for answers; unless they are dropped here, the namespace resets the
    // container's connection.
    batch.push(chain(INPUT, "filter", HOOK_INPUT, 0));
    batch.push(rule(INPUT, |rule| accept(is_answer(rule))));
    batch.push(rule(INPUT, |rule| verdict(is_named(rule, META_INPUT, INTERFACE), DROP)));
    for bridge in open {
        batch.push(rule(FORWARD, |rule| {
            accept(is_named(is_named(rule, META_INPUT, bridge), META_OUTPUT, INTERFACE))
        }));
    }
    batch.push(rule(LEAVING, |rule| {
        expression(is_named(rule, META_OUTPUT, INTERFACE), "masq", |data| data)
    }));
    batch.push(Message::new(BATCH_END, 0, &header(0, SUBSYSTEM)));
    socket.transact(&batch).map(drop)
}

fn message(kind: u16, more: u16) -> Message {
    Message::new(u16::from(SUBSYSTEM as u8) << 8 | kind, flags::ACK | more, &header(FAMILY_INET, 0))
}

fn chain(name: &str, kind: &str, hook: u32, priority: i32) -> Message {
    message(NEW_CHAIN, flags::CREATE)
        .put_text(CHAIN_TABLE, TABLE)
        .put_text(CHAIN_NAME, name)
        .nest(CHAIN_HOOK, |inside| {
            inside.put(HOOK_NUMBER, &hook.to_be_bytes()).put(HOOK_PRIORITY, &priority.to_be_bytes())
        })
        .put_text(CHAIN_TYPE, kind)
}

fn rule(chain: &str, expressions: impl FnOnce(Message) -> Message) -> Message {
    message(NEW_RULE, flags::CREATE | flags::APPEND)
        .put_text(RULE_TABLE, TABLE)
        .put_text(RULE_CHAIN, chain)
        .nest(RULE_EXPRESSIONS, expressions)
}

fn expression(rule: Message, name: &str, data: impl FnOnce(Message) -> Message) -> Message {
    rule.nest(LIST_ELEMENT, |element| {
        element.put_text(EXPRESSION_NAME, name).nest(EXPRESSION_DATA, data)
    })
}

/// Goes on if the interface that `key` means is called `name`.
fn is_named(rule: Message, key: u32, name: &str) -> Message {
    let mut padded = [0; 16];
    for (to, from) in padded.iter_mut().zip(name.bytes().take(15)) {
        *to = from;
    }
    let rule = expression(rule, "meta", |data| {
        data.put(META_TO, &REGISTER.to_be_bytes()).put(META_KEY, &key.to_be_bytes())
    });
    compare(rule, EQUAL, &padded)
}

/// Goes on if the packet belongs to a connection that was begun from the other side.
fn is_answer(rule: Message) -> Message {
    let rule = expression(rule, "ct", |data| {
        data.put(CT_TO, &REGISTER.to_be_bytes()).put(CT_KEY, &CT_STATE.to_be_bytes())
    });
    let value = |number: u32| move |data: Message| data.put(DATA_VALUE, &number.to_ne_bytes());
    let rule = expression(rule, "bitwise", |data| {
        data.put(BITWISE_FROM, &REGISTER.to_be_bytes())
            .put(BITWISE_TO, &REGISTER.to_be_bytes())
            .put(BITWISE_LENGTH, &4_u32.to_be_bytes())
            .nest(BITWISE_MASK, value(ESTABLISHED | RELATED))
            .nest(BITWISE_XOR, value(0))
    });
    compare(rule, UNEQUAL, &0_u32.to_ne_bytes())
}

fn compare(rule: Message, operation: u32, value: &[u8]) -> Message {
    expression(rule, "cmp", |data| {
        data.put(COMPARE_FROM, &REGISTER.to_be_bytes())
            .put(COMPARE_OPERATION, &operation.to_be_bytes())
            .nest(COMPARE_DATA, |data| data.put(DATA_VALUE, value))
    })
}

fn accept(rule: Message) -> Message {
    verdict(rule, ACCEPT)
}

fn verdict(rule: Message, code: u32) -> Message {
    expression(rule, "immediate", |data| {
        data.put(IMMEDIATE_TO, &VERDICT_REGISTER.to_be_bytes()).nest(IMMEDIATE_DATA, |data| {
            data.nest(DATA_VERDICT, |verdict| verdict.put(VERDICT_CODE, &code.to_be_bytes()))
        })
    })
}

/// `struct nfgenmsg`.
fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

const TABLE: &str = "hull";
const FORWARD: &str = "forward";
const INPUT: &str = "input";
const LEAVING: &str = "leaving";
/// `NFPROTO_INET`: IPv4 and IPv6.
const FAMILY_INET: u8 = 1;
/// `NFNL_SUBSYS_NFTABLES`.
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const NEW_TABLE: u16 = 0;
const REMOVE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const HOOK_INPUT: u32 = 1;
const HOOK_FORWARD: u32 = 2;
const HOOK_POSTROUTING: u32 = 4;
const PRIORITY_SOURCE_NAT: i32 = 100;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const LIST_ELEMENT: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const META_TO: u16 = 1;
const META_KEY: u16 = 2;
const META_INPUT: u32 = 6;
const META_OUTPUT: u32 = 7;
const CT_TO: u16 = 1;
const CT_KEY: u16 = 2;
const CT_STATE: u32 = 0;
/// `NF_CT_STATE_BIT`s.
const ESTABLISHED: u32 = 1 << 1;
const RELATED: u32 = 1 << 2;
const BITWISE_FROM: u16 = 1;
const BITWISE_TO: u16 = 2;
const BITWISE_LENGTH: u16 = 3;
const BITWISE_MASK: u16 = 4;
const BITWISE_XOR: u16 = 5;
const COMPARE_FROM: u16 = 1;
const COMPARE_OPERATION: u16 = 2;
const COMPARE_DATA: u16 = 3;
const EQUAL: u32 = 0;
const UNEQUAL: u32 = 1;
const IMMEDIATE_TO: u16 = 1;
const IMMEDIATE_DATA: u16 = 2;
const VERDICT_REGISTER: u32 = 0;
const REGISTER: u32 = 1;
/// `NF_DROP`, `NF_ACCEPT`.
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
