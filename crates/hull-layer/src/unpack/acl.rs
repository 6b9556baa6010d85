//! POSIX access control lists in the form of their extended attributes: a version word and entries
//! of tag, permissions and id (Linux `posix_acl_xattr.h`, acl(5)).

const HEADER: usize = 4;
const ENTRY: usize = 8;
const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// Returns whether Linux would accept the value.
pub(super) fn is_valid(value: &[u8]) -> bool {
    let Some((header, entries)) = value.split_at_checked(HEADER) else {
        return false;
    };
    if header != [2, 0, 0, 0] || entries.len() % ENTRY != 0 {
        return false;
    }
    let tags: Vec<u16> = entries.chunks(ENTRY).map(tag).collect();
    let count = |wanted| tags.iter().filter(|&&t| t == wanted).count();
    let named = count(USER) + count(GROUP);
    let known = named + count(USER_OBJ) + count(GROUP_OBJ) + count(MASK) + count(OTHER);
    tags.is_empty()
        || (known == tags.len()
            && tags.is_sorted()
            && [USER_OBJ, GROUP_OBJ, OTHER].map(count) == [1; 3]
            && (count(MASK) == 1 || (count(MASK) == 0 && named == 0))
            && entries.chunks(ENTRY).all(|e| e[2] <= 7 && e[3] == 0))
}

/// Returns whether a valid list has no entries; setting it removes the attribute.
pub(super) fn is_empty(value: &[u8]) -> bool {
    value.len() == HEADER
}

/// Returns whether a valid list says no more than a file's mode; it is not kept then.
pub(super) fn is_mode_only(value: &[u8]) -> bool {
    let tags = || value[HEADER..].chunks(ENTRY).map(tag);
    !tags().any(|t| matches!(t, USER | GROUP | MASK))
}

/// Changes a valid list to the permissions of `mode`.
pub(super) fn apply_mode(value: &mut [u8], mode: u16) {
    let has_mask = value[HEADER..].chunks(ENTRY).any(|e| tag(e) == MASK);
    for entry in value[HEADER..].chunks_mut(ENTRY) {
        entry[2] = match tag(entry) {
            USER_OBJ => mode >> 6 & 7,
            GROUP_OBJ if !has_mask => mode >> 3 & 7,
            MASK => mode >> 3 & 7,
            OTHER => mode & 7,
            _ => continue,
        } as u8;
    }
}

fn tag(entry: &[u8]) -> u16 {
    u16::from_le_bytes([entry[0], entry[1]])
}
