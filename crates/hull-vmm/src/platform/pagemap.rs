//! What a process has written (`proc_pid_pagemap(5)`).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Returns which memory that the process `pid` may write is its own, and nobody else's: address and
/// length in bytes, in the order of addresses.
pub(crate) fn written_memory(pid: u32) -> io::Result<Vec<[u64; 2]>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let pagemap = File::open(format!("/proc/{pid}/pagemap"))?;
    let page = rustix::param::page_size() as u64;
    let mut written = Written::default();
    let mut entries = vec![0; AT_ONCE * 8];
    for (begin, end) in maps.lines().filter_map(own_mapping) {
        let mut at = begin / page;
        while at < end / page {
            let wanted = usize::try_from(end / page - at).unwrap_or(AT_ONCE).min(AT_ONCE);
            let read = pagemap.read_at(&mut entries[..wanted * 8], at * 8)?;
            if read < 8 {
                // It has ended, or let go of the memory.
                break;
            }
            for (entry, address) in entries[..read].as_chunks().0.iter().zip(at..) {
                if u64::from_ne_bytes(*entry) & (PRESENT | ONLY_HERE | OF_FILE)
                    == PRESENT | ONLY_HERE
                {
                    written.add(address * page, page);
                }
            }
            at += (read / 8) as u64;
        }
    }
    Ok(written.0)
}

/// Returns where the mapping of a line of `/proc/PID/maps` begins and ends, if the process may write
/// it without anybody else noticing.
fn own_mapping(line: &str) -> Option<(u64, u64)> {
    let mut fields = line.split(' ');
    let (begin, end) = fields.next()?.split_once('-')?;
    let permissions = fields.next()?.as_bytes();
    if permissions.get(1) != Some(&b'w') || permissions.get(3) != Some(&b'p') {
        return None;
    }
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(begin)?, number(end)?))
}

/// Ranges, of which those that touch become one.
#[derive(Debug, Default)]
struct Written(Vec<[u64; 2]>);

impl Written {
    fn add(&mut self, address: u64, length: u64) {
        match self.0.last_mut() {
            Some([begin, whole]) if *begin + *whole == address => *whole += length,
            _ => self.0.push([address, length]),
        }
    }
}

/// Entries that are read at once.
const AT_ONCE: usize = 8192;
const PRESENT: u64 = 1 << 63;
/// It is a page of a file, or shared memory.
const OF_FILE: u64 = 1 << 61;
/// No other process has it mapped.
const ONLY_HERE: u64 = 1 << 56;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_private_writable_mappings_count() {
        let private = "7f01c2000000-7f01c2021000 rw-p 00000000 00:00 0 ";
        assert_eq!(own_mapping(private), Some((0x7f01_c200_0000, 0x7f01_c202_1000)));
        for line in [
            "7f01c2000000-7f01c2021000 r--p 00000000 fe:00 99 /usr/lib/libc.so.6",
            "7f01c2000000-7f01c2021000 rw-s 00000000 00:01 99 /memfd:ram",
            "nonsense",
            "",
        ] {
            assert_eq!(own_mapping(line), None, "{line}");
        }
    }

    #[test]
    fn neighbours_are_one_range() {
        let mut written = Written::default();
        for address in [0x1000, 0x2000, 0x4000] {
            written.add(address, 0x1000);
        }
        assert_eq!(written.0, [[0x1000, 0x2000], [0x4000, 0x1000]]);
    }

    #[test]
    fn what_this_process_writes_is_its_own() {
        let own = vec![1_u8; 64 << 12];
        let inside = (own.as_ptr() as u64).next_multiple_of(4096);
        let written = written_memory(std::process::id()).unwrap();
        let holds = |[begin, length]: &[u64; 2]| *begin <= inside && inside < begin + length;
        assert!(written.iter().any(holds), "{inside:x} {written:x?}");
        assert_eq!(own[1], 1);
    }
}
