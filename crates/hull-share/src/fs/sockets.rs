//! The directory in which the agent has sockets by the numbers of their files.

use std::ffi::CStr;

use hull_protocol::SOCKETS_DIRECTORY;
use rustix::fs::FileType;
use rustix::io::{Errno, Result};

use crate::session::Session;
use crate::wire::{Answer, Fields, Header, ROOT, SOCKETS, op};

impl Session {
    /// Whether the directory is looked up: nobody but the agent finds it, which is process 1 where it
    /// mounts.
    pub(crate) fn is_sockets(&self, header: &Header, name: &CStr) -> bool {
        header.node == ROOT && header.pid == 1 && name.to_bytes() == SOCKETS_DIRECTORY.as_bytes()
    }

    /// Gives the guest the directory.
    pub(crate) fn answer_sockets(&self, answer: &mut Answer) {
        // Number, generation, and for how many seconds name and attributes may be believed.
        answer.u64(SOCKETS).u64(0).u64(0).u64(EVER).zeros(4 + 4);
        attributes(answer);
    }

    /// Does what is asked for in the directory.
    pub(crate) fn in_sockets(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        answer: &mut Answer,
    ) -> Result<()> {
        let name = |fields: &mut Fields<'_>| -> Result<(bool, u64)> {
            let name = fields.name()?.to_str().map_err(|_| Errno::NOENT)?;
            let number = name.strip_prefix('+');
            let parsed = number.unwrap_or(name).parse().map_err(|_| Errno::NOENT)?;
            Ok((number.is_some(), parsed))
        };
        let number = match header.opcode {
            op::GETATTR => {
                answer.u64(EVER).zeros(4 + 4);
                attributes(answer);
                return Ok(());
            }
            op::LOOKUP => match name(fields)? {
                (false, number) => number,
                // There never is one: each is made anew.
                (true, _) => return Err(Errno::NOENT),
            },
            op::MKNOD => {
                let mode = fields.u32()?;
                fields.skip(4 + 8)?;
                match name(fields)? {
                    (true, number) if FileType::from_raw_mode(mode) == FileType::Socket => number,
                    _ => return Err(Errno::PERM),
                }
            }
            _ => return Err(Errno::PERM),
        };
        if self.nodes.find(number).map_err(|_| Errno::NOENT)?.kind() != FileType::Socket {
            return Err(Errno::NOENT);
        }
        let node = self.nodes.again(number)?;
        let stat = node.stat()?;
        self.known(number, &node, &stat, (false, false), answer);
        Ok(())
    }
}

/// Appends the `struct fuse_attr` of a directory that is there for root only.
fn attributes(answer: &mut Answer) {
    // Inode, size, blocks, three times with their nanoseconds.
    answer.u64(SOCKETS).zeros(8 + 8 + 3 * 8 + 3 * 4);
    // Mode, links, owner and group, device, size of a block, flags.
    answer.u32(0o040_700).u32(2).zeros(4 + 4 + 4).u32(4096).u32(0);
}

/// Seconds that no machine sees the end of.
const EVER: u64 = u32::MAX as u64;
