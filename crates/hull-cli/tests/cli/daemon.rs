//! A daemon that commands start, in a state directory that is out of the ordinary.

use std::fs;
use std::path::PathBuf;

use crate::fake::at_home;
use insta::assert_snapshot;

#[test]
fn a_state_directory_may_have_a_long_path() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home(dir.path().join("h".repeat(150)));
    let shown = |arguments: &[&str]| at_home(&home.0, arguments).shown();
    assert_snapshot!(shown(&["ps", "--format", "{{.ID}}"]), @r"
    --- stderr
    --- exit code 0
    ");
    assert_snapshot!(shown(&["system", "start"]), @r"
    The daemon runs already.
    --- stderr
    --- exit code 0
    ");
    assert_snapshot!(shown(&["system", "stop"]), @r"
    The daemon has been stopped.
    --- stderr
    --- exit code 0
    ");
}

#[test]
fn a_daemon_does_not_start_with_a_configuration_that_makes_no_sense() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home(dir.path().join("home"));
    fs::create_dir(&home.0).unwrap();
    fs::write(home.0.join("config.toml"), "[pool]\nsize = \"many\"\n").unwrap();
    let shown = at_home(&home.0, &["ps"]).shown().replace(home.0.to_str().unwrap(), "HOME");
    assert_snapshot!(shown, @r#"
    --- stderr
    cannot start the daemon: HOME/config.toml: `pool.size`: "many" is not a count
    hint: give a whole number from 0 to 256
    --- exit code 1
    "#);
}

/// A state directory whose daemon ends with the test.
struct Home(PathBuf);

impl Drop for Home {
    fn drop(&mut self) {
        at_home(&self.0, &["system", "stop"]);
    }
}
