//! Questions and answers of RFC 1035, as far as the server looks into them: the rest is passed on as
//! it came.

use std::net::IpAddr;

/// A question, and what an answer must repeat of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Question {
    id: [u8; 2],
    /// The sender wants us to ask others.
    recursion: bool,
    /// Lower case, without the last dot.
    pub(super) name: String,
    pub(super) kind: u16,
    class: u16,
    /// The question as it came.
    section: Vec<u8>,
    /// Bytes of the longest answer over UDP.
    pub(super) room: usize,
    extended: bool,
}

/// What becomes of a question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Code {
    Done = 0,
    Failed = 2,
    NoSuchName = 3,
    NotImplemented = 4,
}

impl Question {
    /// Reads a query with one question; `None` for all else.
    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let header = packet.get(..HEADER)?;
        let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        // An ordinary query, not an answer.
        if header[2] & 0xf8 != 0 || count(4) != 1 {
            return None;
        }
        let mut at = HEADER;
        let mut labels = Vec::new();
        loop {
            let length = usize::from(*packet.get(at)?);
            at += 1;
            match length {
                0 => break,
                1..=63 => labels.push(packet.get(at..at + length)?),
                // Nothing to point back to.
                _ => return None,
            }
            at += length;
            if at - HEADER > LONGEST_NAME {
                return None;
            }
        }
        let two = |at: usize| Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?));
        let (kind, class) = (two(at)?, two(at + 2)?);
        let end = at + 4;
        // RFC 6891: a record for the root says how much the sender takes. Only where it stands alone
        // is it looked at; others are passed on.
        let option = (count(6) == 0 && count(8) == 0 && count(10) >= 1)
            .then(|| packet.get(end..end + 5))
            .flatten()
            .filter(|record| record[0] == 0 && record[1..3] == OPTION.to_be_bytes());
        let room = option.map(|record| usize::from(u16::from_be_bytes([record[3], record[4]])));
        let name: Vec<String> =
            labels.iter().map(|label| String::from_utf8_lossy(label).to_lowercase()).collect();
        Some(Self {
            id: [header[0], header[1]],
            recursion: header[2] & 1 != 0,
            name: name.join("."),
            kind,
            class,
            section: packet[HEADER..end].to_vec(),
            room: room.unwrap_or(PLAIN_ROOM).clamp(PLAIN_ROOM, MOST_ROOM),
            extended: room.is_some(),
        })
    }

    /// Returns whether it is about the Internet.
    pub(super) fn is_internet(&self) -> bool {
        self.class == 1
    }

    /// Returns the address that a question for a name of an address is about.
    pub(super) fn reverse(&self) -> Option<IpAddr> {
        if self.kind != PTR {
            return None;
        }
        if let Some(text) = self.name.strip_suffix(".in-addr.arpa") {
            let mut parts: Vec<&str> = text.split('.').collect();
            parts.reverse();
            return parts.join(".").parse().ok().map(IpAddr::V4);
        }
        let text = self.name.strip_suffix(".ip6.arpa")?;
        let digits: Vec<&str> = text.split('.').collect();
        if digits.len() != 32 || digits.iter().any(|digit| digit.len() != 1) {
            return None;
        }
        let number: String = digits.iter().rev().copied().collect();
        u128::from_str_radix(&number, 16).ok().map(|bits| IpAddr::V6(bits.into()))
    }

    /// Returns an answer without records.
    pub(super) fn refuse(&self, code: Code) -> Vec<u8> {
        self.answer(code, &[])
    }

    /// Returns an answer with those of `addresses` that were asked for.
    pub(super) fn addresses(&self, addresses: &[IpAddr]) -> Vec<u8> {
        let wanted = addresses.iter().filter_map(|address| match (address, self.kind) {
            (IpAddr::V4(address), A) => Some(address.octets().to_vec()),
            (IpAddr::V6(address), AAAA) => Some(address.octets().to_vec()),
            _ => None,
        });
        self.answer(Code::Done, &wanted.collect::<Vec<_>>())
    }

    /// Returns an answer with the name of an address.
    pub(super) fn pointer(&self, name: &str) -> Vec<u8> {
        let mut data = Vec::new();
        for label in name.split('.').filter(|label| !label.is_empty()) {
            let label = &label.as_bytes()[..label.len().min(63)];
            data.push(label.len() as u8);
            data.extend_from_slice(label);
        }
        data.push(0);
        self.answer(Code::Done, &[data])
    }

    /// Writes an answer whose records are for the name and of the kind that was asked for.
    fn answer(&self, code: Code, records: &[Vec<u8>]) -> Vec<u8> {
        let mut packet = Vec::with_capacity(HEADER + self.section.len() + records.len() * 28);
        packet.extend_from_slice(&self.id);
        // An answer; as Docker's it claims no authority, and we would have asked others.
        packet.push(0x80 | u8::from(self.recursion));
        packet.push(0x80 | code as u8);
        for count in [1, records.len() as u16, 0, u16::from(self.extended)] {
            packet.extend_from_slice(&count.to_be_bytes());
        }
        packet.extend_from_slice(&self.section);
        for data in records {
            // The name is the question's.
            packet.extend_from_slice(&(0xc000_u16 | HEADER as u16).to_be_bytes());
            packet.extend_from_slice(&self.kind.to_be_bytes());
            packet.extend_from_slice(&self.class.to_be_bytes());
            packet.extend_from_slice(&TIME_TO_LIVE.to_be_bytes());
            packet.extend_from_slice(&(data.len() as u16).to_be_bytes());
            packet.extend_from_slice(data);
        }
        if self.extended {
            packet.push(0);
            packet.extend_from_slice(&OPTION.to_be_bytes());
            packet.extend_from_slice(&(MOST_ROOM as u16).to_be_bytes());
            packet.extend_from_slice(&[0; 6]);
        }
        packet
    }

    /// Returns `answer` if it fits into a datagram, else one that says: ask over TCP.
    pub(super) fn fit(&self, answer: Vec<u8>) -> Vec<u8> {
        if answer.len() <= self.room {
            return answer;
        }
        let mut short = self.answer(Code::Done, &[]);
        short[2] |= 0x02;
        short
    }
}

pub(super) const A: u16 = 1;
pub(super) const PTR: u16 = 12;
pub(super) const AAAA: u16 = 28;
const OPTION: u16 = 41;
const HEADER: usize = 12;
const LONGEST_NAME: usize = 255;
/// RFC 1035: what everybody takes.
const PLAIN_ROOM: usize = 512;
/// What passes without fragments.
const MOST_ROOM: usize = 1232;
/// Seconds: a container that stops takes its names along.
const TIME_TO_LIVE: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, kind: u16, extra: &[u8]) -> Vec<u8> {
        let additional = u16::from(!extra.is_empty()).to_be_bytes();
        let mut packet = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, additional[0], additional[1]];
        for label in name.split('.') {
            packet.push(label.len() as u8);
            packet.extend_from_slice(label.as_bytes());
        }
        packet.push(0);
        packet.extend_from_slice(&kind.to_be_bytes());
        packet.extend_from_slice(&[0, 1]);
        packet.extend_from_slice(extra);
        packet
    }

    #[test]
    fn questions_are_answered() {
        let packet = query("Web.Example", A, &[]);
        let question = Question::parse(&packet).unwrap();
        assert_eq!((question.name.as_str(), question.room), ("web.example", 512));
        let answer = question.addresses(&["10.0.0.2".parse().unwrap(), "::1".parse().unwrap()]);
        assert_eq!(answer[..4], [0xab, 0xcd, 0x81, 0x80]);
        assert_eq!(answer[6..8], [0, 1]);
        // As it was written, for those who check the case.
        assert!(answer.windows(3).any(|part| part == b"Web"));
        assert_eq!(answer[answer.len() - 4..], [10, 0, 0, 2]);
    }

    #[test]
    fn long_answers_are_for_tcp_unless_there_is_room() {
        let many: Vec<IpAddr> = (1..60).map(|n| IpAddr::from([10, 0, 0, n])).collect();
        let question = Question::parse(&query("web", A, &[])).unwrap();
        let answer = question.fit(question.addresses(&many));
        assert_eq!((answer[2] & 2, answer[7]), (2, 0));
        let option = [0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0];
        let question = Question::parse(&query("web", A, &option)).unwrap();
        let answer = question.fit(question.addresses(&many));
        assert_eq!((answer[2] & 2, answer[7], answer[11]), (0, 59, 1));
    }

    #[test]
    fn names_of_addresses() {
        let of = |name: &str| Question::parse(&query(name, PTR, &[])).unwrap().reverse();
        assert_eq!(of("2.0.0.10.in-addr.arpa"), Some("10.0.0.2".parse().unwrap()));
        let v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
        assert_eq!(of(v6), Some("fd00::1".parse().unwrap()));
        assert_eq!(of("x.in-addr.arpa"), None);
    }

    #[test]
    fn what_is_no_question_is_left_alone() {
        let good = query("web", A, &[]);
        for end in 0..good.len() {
            assert_eq!(Question::parse(&good[..end]), None, "{end}");
        }
        let mut answer = good.clone();
        answer[2] |= 0x80;
        assert_eq!(Question::parse(&answer), None);
        let mut pointer = good.clone();
        pointer[12] = 0xc0;
        assert_eq!(Question::parse(&pointer), None);
        assert_eq!(Question::parse(&query(&vec!["a".repeat(60); 5].join("."), A, &[])), None);
    }
}
