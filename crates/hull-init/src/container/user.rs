//! Users and groups looked up in an image's `/etc/passwd` and `/etc/group`, with the semantics and
//! the words of github.com/moby/sys/user, which Docker and runc use.

use crate::failure::{Failure, Result};

/// Who a process runs as.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

/// Looks up `user` (`name|uid[:group|gid]`, empty: user 0) and the `additional` groups. `passwd` and
/// `group` are the files' contents, `None` if the image has none.
pub(crate) fn look_up(
    user: &str,
    additional: &[String],
    passwd: Option<&[u8]>,
    group: Option<&[u8]>,
) -> Result<Identity> {
    let mut fields = user.splitn(3, ':');
    let user_part = fields.next().unwrap_or_default();
    let group_part = fields.next().unwrap_or_default();
    let wanted_uid = number(user_part);
    let entry = entries(passwd).find(|fields| match (user_part, wanted_uid) {
        ("", _) => loose_number(fields, 2) == 0,
        (_, Some(uid)) => loose_number(fields, 2) == uid,
        (name, None) => text(fields, 0) == name.as_bytes(),
    });
    let mut found = Identity { uid: 0, gid: 0, groups: Vec::new(), home: "/".into() };
    let mut name: &[u8] = b"";
    match (entry, wanted_uid) {
        (Some(entry), _) => {
            name = text(&entry, 0);
            found.uid = in_range(loose_number(&entry, 2))?;
            found.gid = in_range(loose_number(&entry, 3))?;
            found.home = String::from_utf8_lossy(text(&entry, 5)).into_owned();
        }
        (None, Some(uid)) => found.uid = in_range(uid)?,
        (None, None) if user_part.is_empty() => {}
        (None, None) => {
            return Err(Failure::not_found(format!(
                "unable to find user {user_part}: no matching entries in passwd file"
            )));
        }
    }
    if !group_part.is_empty() {
        found.gid = find_group(group_part, group)?;
    } else if !name.is_empty() {
        for entry in entries(group) {
            let mut members = text(&entry, 3).split(|byte| *byte == b',');
            if members.any(|member| member == name) {
                found.groups.push(in_range(loose_number(&entry, 2))?);
            }
        }
    }
    for group_name in additional {
        found.groups.push(find_group(group_name, group).map_err(|failure| {
            // The same words as elsewhere in that library, but for the first letter.
            let message = failure.message.replacen("unable", "Unable", 1);
            Failure::new(failure.code, message)
        })?);
    }
    // Docker lists the primary group among the supplementary ones (CVE-2022-36109).
    found.groups.insert(0, found.gid);
    Ok(found)
}

/// Returns the home directory of `uid`, `/` if the image does not know it.
pub(crate) fn home(uid: u32, passwd: Option<&[u8]>) -> String {
    entries(passwd)
        .find(|fields| loose_number(fields, 2) == i64::from(uid))
        .map_or_else(|| "/".into(), |fields| String::from_utf8_lossy(text(&fields, 5)).into_owned())
}

fn find_group(name: &str, group: Option<&[u8]>) -> Result<u32> {
    let wanted = number(name);
    let entry = entries(group).find(|fields| match wanted {
        Some(gid) => loose_number(fields, 2) == gid,
        None => text(fields, 0) == name.as_bytes(),
    });
    match (entry, wanted) {
        (Some(entry), _) => in_range(loose_number(&entry, 2)),
        (None, Some(gid)) => in_range(gid),
        (None, None) => Err(Failure::not_found(format!(
            "unable to find group {name}: no matching entries in group file"
        ))),
    }
}

fn in_range(number: i64) -> Result<u32> {
    u32::try_from(number)
        .ok()
        .filter(|number| *number <= i32::MAX as u32)
        .ok_or_else(|| Failure::invalid("uids and gids must be in range 0-2147483647"))
}

fn entries(file: Option<&[u8]>) -> impl Iterator<Item = Vec<&[u8]>> {
    file.unwrap_or_default()
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .map(|line| line.split(|byte| *byte == b':').collect())
}

fn text<'a>(fields: &[&'a [u8]], index: usize) -> &'a [u8] {
    fields.get(index).copied().unwrap_or_default()
}

/// A number of a file, 0 if it is none, as Go's parser has it.
fn loose_number(fields: &[&[u8]], index: usize) -> i64 {
    std::str::from_utf8(text(fields, index)).ok().and_then(number).unwrap_or(0)
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n\
        \n\
        daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
        1000:x:7:7::/seven:\n\
        broken:x:abc\n\
        app:x:1000:1001:App:/home/app:/bin/sh";
    const GROUP: &[u8] =
        b"root:x:0:\nwheel:x:10:root,app\nstaff:x:50:app\nempty:x:51:\n1001:x:77:\n";

    fn find(user: &str, additional: &[&str]) -> Result<Identity> {
        let additional: Vec<String> = additional.iter().map(|name| (*name).into()).collect();
        look_up(user, &additional, Some(PASSWD), Some(GROUP))
    }

    fn identity(uid: u32, gid: u32, groups: &[u32], home: &str) -> Identity {
        Identity { uid, gid, groups: groups.into(), home: home.into() }
    }

    #[test]
    fn users_are_found_as_docker_finds_them() {
        for (user, expected) in [
            ("", identity(0, 0, &[0, 10], "/root")),
            ("0", identity(0, 0, &[0, 10], "/root")),
            ("app", identity(1000, 1001, &[1001, 10, 50], "/home/app")),
            ("1000", identity(1000, 1001, &[1001, 10, 50], "/home/app")),
            ("app:staff", identity(1000, 50, &[50], "/home/app")),
            ("app:", identity(1000, 1001, &[1001, 10, 50], "/home/app")),
            ("app:1001", identity(1000, 1001, &[1001], "/home/app")),
            ("4242", identity(4242, 0, &[0], "/")),
            ("4242:4343", identity(4242, 4343, &[4343], "/")),
            (":staff", identity(0, 50, &[50], "/root")),
        ] {
            assert_eq!(find(user, &[]).unwrap(), expected, "{user:?}");
        }
        assert_eq!(find("daemon", &["staff", "99"]).unwrap().groups, [1, 50, 99]);
    }

    #[test]
    fn what_does_not_exist_is_named() {
        for (user, additional, expected) in [
            ("nosuch", &[][..], "unable to find user nosuch: no matching entries in passwd file"),
            ("app:no", &[], "unable to find group no: no matching entries in group file"),
            ("app", &["no"], "Unable to find group no: no matching entries in group file"),
            ("-1", &[], "uids and gids must be in range 0-2147483647"),
            ("4294967296", &[], "uids and gids must be in range 0-2147483647"),
        ] {
            assert_eq!(find(user, additional).unwrap_err().message, expected);
        }
        assert!(look_up("root", &[], None, None).is_err());
        assert_eq!(look_up("", &[], None, None).unwrap(), identity(0, 0, &[0], "/"));
        assert_eq!(home(1000, Some(PASSWD)), "/home/app");
        assert_eq!(home(5, Some(PASSWD)), "/");
    }
}
