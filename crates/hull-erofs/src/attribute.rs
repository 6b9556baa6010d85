//! Extended attributes: those of one file behind its inode, repeated ones in a shared area.

use std::collections::{BTreeMap, HashMap};

use hull_layer::Xattr;

use crate::write::WriteError;

const HEADER_LEN: usize = 12;
const ENTRY_LEN: usize = 4;
/// Most shared attributes of one file; the count has one byte.
const MAX_SHARED: usize = 255;

/// Which attributes are shared, and where they are.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    /// Offset in the shared area of those that several files have.
    shared: BTreeMap<Xattr, u32>,
    pub(crate) shared_len: u64,
}

impl Attributes {
    pub(crate) fn new<'a>(all: impl Iterator<Item = &'a Xattr>) -> Result<Self, WriteError> {
        let mut counts: HashMap<&Xattr, u32> = HashMap::new();
        for attribute in all {
            split(&attribute.name)
                .ok_or_else(|| WriteError::Attribute(attribute.name.escape_ascii().to_string()))?;
            *counts.entry(attribute).or_default() += 1;
        }
        let repeated = counts.into_iter().filter(|(_, count)| *count > 1);
        let mut shared: BTreeMap<_, _> = repeated.map(|(a, _)| (a.clone(), 0)).collect();
        let mut len = 0;
        for (attribute, offset) in &mut shared {
            *offset = u32::try_from(len).map_err(|_| WriteError::Metadata)?;
            len += entry_len(attribute) as u64;
        }
        Ok(Self { shared, shared_len: len })
    }

    /// Returns the bytes behind an inode that has `attributes`; 0 if it has none.
    pub(crate) fn inline_len(&self, attributes: &[Xattr]) -> Result<u32, WriteError> {
        if attributes.is_empty() {
            return Ok(0);
        }
        let (shared, own) = self.split_shared(attributes);
        let own: usize = own.iter().map(|a| entry_len(a)).sum();
        let len = HEADER_LEN + 4 * shared.len() + own;
        // Their length has 16 bits, in words.
        if (len - HEADER_LEN) / 4 + 1 > usize::from(u16::MAX) {
            return Err(WriteError::Metadata);
        }
        Ok(len as u32)
    }

    /// Writes what stands behind an inode; `out` has the length that [`Self::inline_len`] returns.
    pub(crate) fn put_inline(&self, attributes: &[Xattr], out: &mut [u8]) {
        if attributes.is_empty() {
            return;
        }
        let (shared, own) = self.split_shared(attributes);
        out[4] = shared.len() as u8;
        let (ids, mut rest) = out[HEADER_LEN..].split_at_mut(4 * shared.len());
        for (id, offset) in ids.chunks_mut(4).zip(shared) {
            id.copy_from_slice(&(offset / 4).to_le_bytes());
        }
        for attribute in own {
            put_entry(attribute, rest);
            rest = &mut rest[entry_len(attribute)..];
        }
    }

    /// Writes the shared area.
    pub(crate) fn put_shared(&self, out: &mut [u8]) {
        for (attribute, offset) in &self.shared {
            put_entry(attribute, &mut out[*offset as usize..]);
        }
    }

    /// Divides a file's attributes into offsets of shared ones and those of its own.
    fn split_shared<'a>(&self, attributes: &'a [Xattr]) -> (Vec<u32>, Vec<&'a Xattr>) {
        let mut shared = Vec::new();
        let mut own = Vec::new();
        for attribute in attributes {
            match self.shared.get(attribute) {
                Some(offset) if shared.len() < MAX_SHARED => shared.push(*offset),
                _ => own.push(attribute),
            }
        }
        (shared, own)
    }
}

/// Returns the number that stands for a name's namespace, and the rest of the name.
fn split(name: &[u8]) -> Option<(u8, &[u8])> {
    const NAMESPACES: [(u8, &[u8]); 5] = [
        (2, b"system.posix_acl_access"),
        (3, b"system.posix_acl_default"),
        (1, b"user."),
        (4, b"trusted."),
        (6, b"security."),
    ];
    NAMESPACES.iter().find_map(|(index, prefix)| {
        let rest = name.strip_prefix(*prefix)?;
        let is_whole_name = prefix.last() != Some(&b'.');
        (rest.is_empty() == is_whole_name && rest.len() <= 255).then_some((*index, rest))
    })
}

fn entry_len(attribute: &Xattr) -> usize {
    let name = split(&attribute.name).map_or(0, |(_, name)| name.len());
    (ENTRY_LEN + name + attribute.value.len()).next_multiple_of(4)
}

fn put_entry(attribute: &Xattr, out: &mut [u8]) {
    let (index, name) = split(&attribute.name).unwrap_or_default();
    let value = &attribute.value;
    out[0] = name.len() as u8;
    out[1] = index;
    out[2..4].copy_from_slice(&(value.len() as u16).to_le_bytes());
    out[4..4 + name.len()].copy_from_slice(name);
    out[4 + name.len()..][..value.len()].copy_from_slice(value);
}
