//! Extended attributes.

use rustix::fs::{XattrFlags, getxattr, listxattr, removexattr, setxattr};
use rustix::io::{Errno, Result};

use crate::owner::Owners;
use crate::session::Session;
use crate::wire::{Answer, Fields, Header};

impl Session {
    pub(crate) fn setxattr(&self, header: &Header, fields: &mut Fields<'_>) -> Result<()> {
        let (size, flags) = (fields.u32()? as usize, fields.u32()?);
        let name = fields.string()?;
        check(name.to_bytes())?;
        let flags = XattrFlags::from_bits(flags).ok_or(Errno::INVAL)?;
        setxattr(self.node(header)?.path(), name, fields.bytes(size)?, flags)
    }

    pub(crate) fn getxattr(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        answer: &mut Answer,
    ) -> Result<()> {
        let size = fields.u32()? as usize;
        fields.skip(4)?;
        let name = fields.string()?;
        check(name.to_bytes())?;
        let mut value = vec![0; LONGEST];
        let length = getxattr(self.node(header)?.path(), name, &mut value[..])?;
        give(&value[..length], size, answer)
    }

    pub(crate) fn listxattr(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        answer: &mut Answer,
    ) -> Result<()> {
        let size = fields.u32()? as usize;
        let mut names = vec![0; LONGEST];
        let length = listxattr(self.node(header)?.path(), &mut names[..])?;
        let shown: Vec<u8> = names[..length]
            .split_inclusive(|byte| *byte == 0)
            .filter(|name| check(name.strip_suffix(&[0]).unwrap_or(name)).is_ok())
            .flatten()
            .copied()
            .collect();
        give(&shown, size, answer)
    }

    pub(crate) fn removexattr(&self, header: &Header, fields: &mut Fields<'_>) -> Result<()> {
        let name = fields.string()?;
        check(name.to_bytes())?;
        removexattr(self.node(header)?.path(), name)
    }
}

/// Whether the guest may know of an attribute. Access control lists name users of the host.
fn check(name: &[u8]) -> Result<()> {
    match name.starts_with(b"system.") || Owners::is_own(name) {
        true => Err(Errno::OPNOTSUPP),
        false => Ok(()),
    }
}

/// Appends `value`, or its length if the guest asks for that (`size` 0).
fn give(value: &[u8], size: usize, answer: &mut Answer) -> Result<()> {
    if size == 0 {
        answer.u32(value.len() as u32).u32(0);
        return Ok(());
    }
    if value.len() > size {
        return Err(Errno::RANGE);
    }
    answer.bytes(value);
    Ok(())
}

/// `XATTR_SIZE_MAX` and `XATTR_LIST_MAX`.
const LONGEST: usize = 64 << 10;
