//! launchd: a user's agent.

use std::path::Path;

use super::{Manager, words};
use crate::context::Context;

/// Describes the agent of `context`'s daemon; `home` is the user's home directory.
pub(super) fn manager(context: &Context, home: &Path) -> Manager {
    let file = home.join(format!("Library/LaunchAgents/{LABEL}.plist"));
    let domain = format!("gui/{}", rustix::process::geteuid().as_raw());
    Manager {
        content: plist(context),
        enable: vec![{
            let mut load = words(&format!("launchctl bootstrap {domain}"));
            load.push(file.display().to_string());
            load
        }],
        disable: vec![words(&format!("launchctl bootout {domain}/{LABEL}"))],
        active: words(&format!("launchctl print {domain}/{LABEL}")),
        is_there: cfg!(target_os = "macos"),
        hint: None,
        file,
    }
}

/// Writes the property list, launchd.plist(5).
fn plist(context: &Context) -> String {
    let text = |path: &Path| escaped(&path.display().to_string());
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
    <string>{}</string>
    <string>daemon</string>
    <string>--wait</string>
  </array>
  <key>EnvironmentVariables</key>
  <dict>
    <key>HULL_HOME</key>
    <string>{}</string>
    <key>HULL_LIB</key>
    <string>{}</string>
  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <true/>
  <key>AbandonProcessGroup</key>
  <true/>
  <key>StandardErrorPath</key>
  <string>{}</string>
</dict>
</plist>
"#,
        text(&context.program),
        text(&context.home),
        text(&context.lib),
        text(&context.log()),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const LABEL: &str = "io.hull.daemon";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_what_is_run() {
        let context = Context {
            home: "/Users/a & b/hull".into(),
            lib: "/usr/local/lib/hull".into(),
            socket: "/s".into(),
            explicit: false,
            config: "/c".into(),
            debug: false,
            program: "/usr/local/bin/hull".into(),
        };
        let list = plist(&context);
        assert!(list.contains("<string>/Users/a &amp; b/hull</string>"), "{list}");
        assert!(list.contains("<string>/usr/local/bin/hull</string>"), "{list}");
    }
}
