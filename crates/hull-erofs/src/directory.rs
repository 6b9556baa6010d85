//! Directories: blocks of sorted entries, each block with its own names behind them.

use hull_layer::{Node, NodeId};

use crate::format::BLOCK;

const ENTRY_LEN: usize = 12;

/// Returns the bytes of the directory; the last block is not padded.
pub(crate) fn len(node: &Node) -> u64 {
    let mut full = 0;
    let mut used = 0;
    for name in names(node) {
        if !fits(used, name) {
            full += BLOCK;
            used = 0;
        }
        used += ENTRY_LEN + name.len();
    }
    full + used as u64
}

/// Returns the directory's content. Entries are inode numbers and types: its own, its parent's and
/// those of its children.
pub(crate) fn encode(
    node: &Node,
    own: (u64, u8),
    parent: (u64, u8),
    child: impl Fn(NodeId) -> (u64, u8),
) -> Vec<u8> {
    let mut entries: Vec<(&[u8], (u64, u8))> = vec![(b".", own), (b"..", parent)];
    entries.extend(node.children.iter().map(|(name, id)| (&**name, child(*id))));
    entries.sort_unstable_by_key(|(name, _)| *name);
    let mut out = Vec::new();
    let mut rest = &entries[..];
    while !rest.is_empty() {
        out.resize(out.len().next_multiple_of(BLOCK as usize), 0);
        let mut used = 0;
        let fitting = rest.iter().take_while(|(name, _)| {
            let fits = fits(used, name);
            used += ENTRY_LEN + name.len();
            fits
        });
        let (block, others) = rest.split_at(fitting.count());
        put_block(&mut out, block);
        rest = others;
    }
    out
}

fn put_block(out: &mut Vec<u8>, entries: &[(&[u8], (u64, u8))]) {
    let mut name_at = entries.len() * ENTRY_LEN;
    for (name, (nid, kind)) in entries {
        out.extend_from_slice(&nid.to_le_bytes());
        out.extend_from_slice(&(name_at as u16).to_le_bytes());
        out.extend_from_slice(&[*kind, 0]);
        name_at += name.len();
    }
    for (name, _) in entries {
        out.extend_from_slice(name);
    }
}

fn fits(used: usize, name: &[u8]) -> bool {
    used + ENTRY_LEN + name.len() <= BLOCK as usize
}

/// Returns all names in byte order. Dots are names like others: some sort before them.
fn names(node: &Node) -> impl Iterator<Item = &[u8]> {
    let children = || node.children.iter().map(|(name, _)| &**name);
    let before = children().take_while(|name| *name < b".".as_slice());
    let after = children().skip_while(|name| *name < b".".as_slice());
    // Between them only names that start with a dot and a byte below it could stand.
    let between = after.clone().take_while(|name| *name < b"..".as_slice());
    let last = after.skip_while(|name| *name < b"..".as_slice());
    let dot = std::iter::once(b".".as_slice());
    let dots = std::iter::once(b"..".as_slice());
    before.chain(dot).chain(between).chain(dots).chain(last)
}
