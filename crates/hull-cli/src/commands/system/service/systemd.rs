//! systemd: a user's unit, or the system's for root.

use std::path::Path;

use super::{Manager, words};
use crate::context::{Context, variable};

/// Describes the unit of `context`'s daemon; `home` is the user's home directory.
pub(super) fn manager(context: &Context, home: &Path) -> Manager {
    let root = rustix::process::geteuid().is_root();
    let directory = match root {
        true => "/etc/systemd/system".into(),
        false => variable("XDG_CONFIG_HOME")
            .map_or_else(|| home.join(".config"), Into::into)
            .join("systemd/user"),
    };
    let control = if root { "systemctl" } else { "systemctl --user" };
    Manager {
        file: directory.join(UNIT),
        content: unit(context, if root { "multi-user.target" } else { "default.target" }),
        enable: vec![
            words(&format!("{control} daemon-reload")),
            words(&format!("{control} enable --now {UNIT}")),
        ],
        // Not stopped: containers run on, and so does who looks after them.
        disable: vec![words(&format!("{control} disable {UNIT}"))],
        active: words(&format!("{control} --quiet is-active {UNIT}")),
        // sd_booted(3).
        is_there: Path::new("/run/systemd/system").is_dir(),
        hint: (!root)
            .then(|| "`loginctl enable-linger` has it start at boot, without a login".to_owned()),
    }
}

/// Writes the unit. Containers outlive a daemon that ends, which is started again; a stop of the
/// service, and with it a shutdown of the host, stops them in an orderly way.
fn unit(context: &Context, target: &str) -> String {
    // Only command lines have variables.
    let program = quoted(&context.program.display().to_string()).replace('$', "$$");
    format!(
        "[Unit]\n\
         Description=Hull, containers in virtual machines\n\
         \n\
         [Service]\n\
         Environment={}\n\
         Environment={}\n\
         ExecStart={program} daemon --wait\n\
         ExecStop={program} system stop\n\
         KillMode=process\n\
         Restart=always\n\
         RestartSec=1\n\
         TimeoutStopSec=120\n\
         Delegate=yes\n\
         \n\
         [Install]\n\
         WantedBy={target}\n",
        assignment("HULL_HOME", &context.home),
        assignment("HULL_LIB", &context.lib),
    )
}

fn assignment(name: &str, path: &Path) -> String {
    quoted(&format!("{name}={}", path.display()))
}

/// Quotes a word as systemd.syntax(7) has it, and keeps its specifiers away.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '%' => quoted.push_str("%%"),
            _ => quoted.push(character),
        }
    }
    quoted + "\""
}

const UNIT: &str = "hull.service";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted() {
        assert_eq!(quoted("/a b/100%\""), "\"/a b/100%%\\\"\"");
        assert_eq!(assignment("A", Path::new("/x y")), "\"A=/x y\"");
    }
}
