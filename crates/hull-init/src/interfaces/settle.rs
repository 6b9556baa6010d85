//! What a running container knows of its networks: default routes, and lines of files.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;

use hull_netlink::{Protocol, Socket};
use hull_protocol::{Edit, Reply, Settle};
use rustix::fs::{FileType, OFlags, Stat};

use super::{add_default_route, find, parse_mac};
use crate::agent::Agent;
use crate::container::paths;
use crate::failure::{Failure, Result};

impl Agent {
    /// Sets routes and lines as the request says.
    pub(crate) fn settle_networks(&mut self, settle: &Settle) -> Result<Reply> {
        let view = self.container(&settle.container)?.view()?;
        let failed = |error: std::io::Error| Failure::failed(format!("set routes: {error}"));
        if !settle.routes.is_empty() {
            let mut socket = Socket::open(Protocol::Route).map_err(failed)?;
            for routes in &settle.routes {
                // One that is being taken away has no routes.
                let Some(link) = find(&mut socket, parse_mac(&routes.mac)?)? else { continue };
                for gateway in &routes.gateways {
                    let invalid = |_| Failure::invalid(format!("gateway: {gateway}"));
                    let gateway = gateway.parse().map_err(invalid)?;
                    add_default_route(&mut socket, link.index, gateway).map_err(failed)?;
                }
            }
        }
        for edit in &settle.edits {
            apply(&view, edit)?;
        }
        Ok(Reply::Done)
    }
}

/// Edits a file that Hull manages, unless the container has removed it.
fn apply(root: &OwnedFd, edit: &Edit) -> Result<()> {
    let path = &edit.path;
    let is_regular = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let open = |flags| paths::open_if(root, path, flags | OFlags::CLOEXEC, is_regular);
    let failed = |error: std::io::Error| Failure::failed(format!("edit {path}: {error}"));
    let Ok(Some(file)) = open(OFlags::RDONLY) else {
        return Ok(());
    };
    let mut text = String::new();
    if File::from(file).take(LARGEST).read_to_string(&mut text).map_err(failed)? as u64 == LARGEST {
        // Whoever made it so large has made it his own.
        return Ok(());
    }
    let Some(text) = edited(&text, &edit.old, &edit.new) else {
        return Ok(());
    };
    match open(OFlags::WRONLY | OFlags::TRUNC) {
        Ok(Some(file)) => File::from(file).write_all(text.as_bytes()).map_err(failed),
        _ => Ok(()),
    }
}

/// Returns `text` with the lines `new` in place of `old`; `None` if there is nothing to change, or
/// if none of `old` is there: then somebody else has taken them out.
fn edited(text: &str, old: &[String], new: &[String]) -> Option<String> {
    let is_old = |line: &str| old.iter().any(|old| old == line);
    let place = match old.is_empty() {
        true => text.lines().count(),
        false => text.lines().position(is_old)?,
    };
    let mut lines: Vec<&str> = text.lines().take(place).collect();
    lines.extend(new.iter().map(String::as_str));
    lines.extend(text.lines().skip(place).filter(|line| !is_old(line)));
    let mut result = lines.join("\n");
    if !result.is_empty() {
        result.push('\n');
    }
    (result != text).then_some(result)
}

/// Bytes of a file that is not looked at any more.
const LARGEST: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_exchanged_where_they_are() {
        let own = |lines: &[&str]| -> Vec<String> { lines.iter().map(|l| (*l).into()).collect() };
        let change = |text, old: &[&str], new: &[&str]| edited(text, &own(old), &own(new));
        assert_eq!(change("a\nb\nc\n", &["b"], &["x", "y"]).as_deref(), Some("a\nx\ny\nc\n"));
        assert_eq!(change("a\nb\nc\n", &["b", "c"], &[]).as_deref(), Some("a\n"));
        assert_eq!(change("a\nb", &["a", "b"], &["b"]).as_deref(), Some("b\n"));
        assert_eq!(change("a\n", &[], &["x"]).as_deref(), Some("a\nx\n"));
        assert_eq!(change("", &[], &["x"]).as_deref(), Some("x\n"));
        assert_eq!(change("x\n", &["x"], &[]).as_deref(), Some(""));
        // Taken out or changed by the container itself.
        assert_eq!(change("a\n", &["b"], &["x"]), None);
        assert_eq!(change("a\nb\n", &["b"], &["b"]), None);
    }
}
