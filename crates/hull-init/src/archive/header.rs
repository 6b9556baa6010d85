//! Headers of tar archives: POSIX.1-2001 (ustar with PAX records) written, GNU forms read as well.

use rustix::fs::FileType;

pub(super) const BLOCK: usize = 512;

/// What stands before the data of one entry.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Header {
    pub(super) path: Vec<u8>,
    /// Target of a symbolic link, or name of the entry that a hard link is to.
    pub(super) link: Vec<u8>,
    /// Type flag: `b'0'` to `b'6'`.
    pub(super) kind: u8,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) mtime: (i64, u32),
    pub(super) device: (u32, u32),
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Header {
    /// Returns the blocks to write before the data.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut records = Vec::new();
        if self.path.len() > 100 || !self.path.is_ascii() {
            record(&mut records, b"path", &self.path);
        }
        if self.link.len() > 100 || !self.link.is_ascii() {
            record(&mut records, b"linkpath", &self.link);
        }
        for (key, number) in [(&b"uid"[..], self.uid), (b"gid", self.gid)] {
            if number > MAX_7 as u32 {
                record(&mut records, key, number.to_string().as_bytes());
            }
        }
        if self.size > MAX_11 {
            record(&mut records, b"size", self.size.to_string().as_bytes());
        }
        let (seconds, nanoseconds) = self.mtime;
        if nanoseconds != 0 || seconds < 0 {
            record(&mut records, b"mtime", &time_text(self.mtime));
        }
        for (name, value) in &self.attributes {
            let key = [b"SCHILY.xattr.", name.as_slice()].concat();
            record(&mut records, &key, value);
        }
        let mut out = Vec::with_capacity(BLOCK * 3);
        if !records.is_empty() {
            let extended = Self {
                path: b"PaxHeaders.0/entry".to_vec(),
                kind: b'x',
                mode: 0o644,
                size: records.len() as u64,
                ..Self::default()
            };
            extended.encode_block(&mut out);
            out.extend_from_slice(&records);
            out.resize(out.len().next_multiple_of(BLOCK), 0);
        }
        self.encode_block(&mut out);
        out
    }

    fn encode_block(&self, out: &mut Vec<u8>) {
        let mut block = [0; BLOCK];
        put(&mut block[..100], &self.path);
        put_octal(&mut block[100..108], u64::from(self.mode & 0o7777));
        put_octal(&mut block[108..116], u64::from(self.uid).min(MAX_7));
        put_octal(&mut block[116..124], u64::from(self.gid).min(MAX_7));
        put_octal(&mut block[124..136], self.size.min(MAX_11));
        put_octal(&mut block[136..148], (self.mtime.0.max(0) as u64).min(MAX_11));
        block[156] = self.kind;
        put(&mut block[157..257], &self.link);
        block[257..265].copy_from_slice(b"ustar\x0000");
        // The name that every system has; others are for the container's own files to say.
        for (id, name) in [(self.uid, 265..297), (self.gid, 297..329)] {
            if id == 0 {
                put(&mut block[name], b"root");
            }
        }
        put_octal(&mut block[329..337], u64::from(self.device.0).min(MAX_7));
        put_octal(&mut block[337..345], u64::from(self.device.1).min(MAX_7));
        let sum = checksum(&block);
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend_from_slice(&block);
    }

    /// Reads one block; `None` if it is all zeros: the end of the archive.
    pub(super) fn decode(block: &[u8; BLOCK]) -> Result<Option<Self>, Malformed> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let stored = number(&block[148..156]).ok_or(Malformed("checksum"))?;
        if stored != u64::from(checksum(block)) {
            return Err(Malformed("checksum"));
        }
        let mut path = text(&block[..100]);
        if &block[257..263] == b"ustar\0" && block[345] != 0 {
            path = [&text(&block[345..500]), &b"/"[..], &path].concat();
        }
        let field =
            |range: std::ops::Range<usize>, name| number(&block[range]).ok_or(Malformed(name));
        let small = |range, name| {
            field(range, name).and_then(|n| u32::try_from(n).map_err(|_| Malformed(name)))
        };
        let kind = match block[156] {
            0 if path.ends_with(b"/") => b'5',
            0 | b'7' => b'0',
            kind => kind,
        };
        let has_device = matches!(kind, b'3' | b'4');
        Ok(Some(Self {
            path,
            link: text(&block[157..257]),
            kind,
            mode: small(100..108, "mode")? & 0o7777,
            uid: small(108..116, "uid")?,
            gid: small(116..124, "gid")?,
            size: field(124..136, "size")?,
            mtime: (field(136..148, "mtime")? as i64, 0),
            device: match has_device {
                true => (small(329..337, "device")?, small(337..345, "device")?),
                false => (0, 0),
            },
            attributes: Vec::new(),
        }))
    }

    /// Takes on what PAX records say.
    pub(super) fn apply(&mut self, records: &[u8]) -> Result<(), Malformed> {
        let mut rest = records;
        while !rest.is_empty() {
            let (key, value, after) = next_record(rest).ok_or(Malformed("PAX record"))?;
            rest = after;
            let decimal =
                || std::str::from_utf8(value).ok().and_then(|value| value.parse::<u64>().ok());
            let small = || decimal().and_then(|n| u32::try_from(n).ok());
            match key {
                b"path" => self.path = value.to_vec(),
                b"linkpath" => self.link = value.to_vec(),
                b"size" => self.size = decimal().ok_or(Malformed("size"))?,
                b"uid" => self.uid = small().ok_or(Malformed("uid"))?,
                b"gid" => self.gid = small().ok_or(Malformed("gid"))?,
                b"mtime" => self.mtime = parse_time(value).ok_or(Malformed("mtime"))?,
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err(Malformed("sparse entry, which is not supported"));
                }
                key => {
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        self.attributes.push((name.to_vec(), value.to_vec()));
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the type of file that the entry makes; `None` for hard links and unknown types.
    pub(super) fn file_type(&self) -> Option<FileType> {
        Some(match self.kind {
            b'0' => FileType::RegularFile,
            b'2' => FileType::Symlink,
            b'3' => FileType::CharacterDevice,
            b'4' => FileType::BlockDevice,
            b'5' => FileType::Directory,
            b'6' => FileType::Fifo,
            _ => return None,
        })
    }
}

/// An archive that is none; says where.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Malformed(pub(super) &'static str);

fn checksum(block: &[u8; BLOCK]) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    sum(&block[..148]) + 8 * u32::from(b' ') + sum(&block[156..])
}

fn put(field: &mut [u8], bytes: &[u8]) {
    let length = bytes.len().min(field.len());
    field[..length].copy_from_slice(&bytes[..length]);
}

fn put_octal(field: &mut [u8], number: u64) {
    let width = field.len() - 1;
    put(field, format!("{number:0width$o}").as_bytes());
}

fn text(field: &[u8]) -> Vec<u8> {
    let end = field.iter().position(|byte| *byte == 0);
    field[..end.unwrap_or(field.len())].to_vec()
}

/// Reads an octal number, or a big-endian binary one as GNU tar writes large ones.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        // Bit 6 of the first byte is the sign; times before 1970 keep theirs by wrapping.
        let start = if field[0] & 0x40 != 0 { u64::MAX } else { 0 };
        let first = u64::from(field[0] & 0x3f);
        let first = if start == 0 { first } else { first | !0x3f };
        return Some(field[1..].iter().fold(first, |number, byte| number << 8 | u64::from(*byte)));
    }
    let digits = field.trim_ascii_start();
    let end = digits.iter().position(|byte| matches!(byte, 0 | b' '));
    let digits = &digits[..end.unwrap_or(digits.len())];
    if digits.is_empty() {
        return Some(0);
    }
    let digits = std::str::from_utf8(digits).ok()?;
    u64::from_str_radix(digits, 8).ok()
}

/// Appends `length key=value\n`, the length counting itself.
fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let bare = key.len() + value.len() + 3;
    let mut length = bare + 1;
    while length != bare + length.to_string().len() {
        length = bare + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} ").as_bytes());
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Splits off the first record: key, value, rest.
fn next_record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
    let body = records.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    Some((&body[..equals], &body[equals + 1..], &records[length..]))
}

fn time_text((seconds, nanoseconds): (i64, u32)) -> Vec<u8> {
    // -1.25 s is second -2 and 0.75 s.
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let sign = if total < 0 { "-" } else { "" };
    let total = total.unsigned_abs();
    let text = format!("{sign}{}.{:09}", total / 1_000_000_000, total % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').into()
}

fn parse_time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    match (whole.starts_with('-'), nanoseconds) {
        (true, 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
        _ => Some((seconds, nanoseconds)),
    }
}

const MAX_7: u64 = 0o7_777_777;
const MAX_11: u64 = 0o77_777_777_777;

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(header: &Header) -> Header {
        let bytes = header.encode();
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        assert!(rest.is_empty());
        let first = Header::decode(&blocks[0]).unwrap().unwrap();
        if first.kind != b'x' {
            return first;
        }
        let mut last = Header::decode(&blocks[blocks.len() - 1]).unwrap().unwrap();
        last.apply(&bytes[BLOCK..BLOCK + first.size as usize]).unwrap();
        last
    }

    #[test]
    fn headers_survive() {
        let plain = Header {
            path: b"a/b".to_vec(),
            link: b"c".to_vec(),
            kind: b'2',
            mode: 0o4755,
            uid: 1000,
            gid: 1001,
            size: 0,
            mtime: (1_700_000_000, 0),
            ..Header::default()
        };
        assert_eq!(plain.encode().len(), BLOCK);
        assert_eq!(round_trip(&plain), plain);
        let rich = Header {
            path: [b"\xff\xfe".as_slice(), &b"long/".repeat(60)].concat(),
            link: b"target/".repeat(50),
            kind: b'3',
            uid: 3_000_000_000,
            gid: u32::MAX - 1,
            size: 1 << 40,
            mtime: (-2, 750_000_000),
            device: (136, 7),
            attributes: vec![(b"security.capability".to_vec(), vec![0, 10, b'=', 255])],
            ..plain
        };
        assert_eq!(round_trip(&rich), rich);
    }

    #[test]
    fn malformed_headers_are_refused() {
        let mut block = [0; BLOCK];
        assert_eq!(Header::decode(&block), Ok(None));
        block[0] = b'x';
        assert_eq!(Header::decode(&block), Err(Malformed("checksum")));
        for records in ["8 path=x\n", "99 path=x\n", "path=x\n", "7 path\n", "12 mtime=x.y\n"] {
            let mut header = Header::default();
            assert!(header.apply(records.as_bytes()).is_err(), "{records:?}");
        }
    }

    #[test]
    fn gnu_numbers_are_read() {
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x01\0\0\0\0"), Some(1 << 32));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"), Some(u64::MAX - 1));
        assert_eq!(number(b"  644 \0\0"), Some(0o644));
        assert_eq!(number(b"9999999\0"), None);
    }

    #[test]
    fn times_keep_their_fraction() {
        for time in [(0, 0), (5, 1), (-2, 750_000_000), (-1, 0), (i64::from(i32::MAX), 999_999_999)]
        {
            assert_eq!(parse_time(&time_text(time)), Some(time));
        }
    }
}
