//! Logs in systemd's journal: a journald of the test's own, in a mount namespace where nothing else is.

use std::path::Path;
use std::process::Command;

use hull_tests::{Home, Image, script, skip};

/// Runs `engine` where `/run` has a journal and nothing else. What the daemon started there stays
/// there, so the last thing it is told is to stop.
const INSIDE: &str = r#"
cat > inside <<'END'
mount -t tmpfs tmpfs /run || exit 1
mkdir -p /run/systemd/journal /run/log/journal
/lib/systemd/systemd-journald >/dev/null 2>&1 &
journald=$!
until [ -S /run/systemd/journal/socket ] && journalctl --sync; do sleep 0.1; done
run="engine run --network none --log-driver journald"
$run --name box -e KEY=value --log-opt env=KEY --log-opt tag=t busybox sh -c 'echo one; echo two >&2; printf three'
engine logs box 2>/dev/null; echo
engine logs --tail 1 box; echo
engine logs --details box 2>/dev/null | head -n 1
engine logs -t box 2>/dev/null | grep -cE '^[0-9-]{10}T[0-9:]{8}\.[0-9]{9}Z '
engine logs --since 2030-01-01 box; engine logs --until 2020-01-01T00:00:00Z box
# A line that is longer than a record.
$run --name long busybox sh -c 'head -c 40000 /dev/zero | tr "\0" x; echo' | wc -c
engine logs long | wc -c
# Followed to the end, whose last line must not be lost.
$run -d --name later busybox sh -c 'for i in $(seq 200); do echo line $i; done; sleep 1; echo last' >/dev/null
engine logs -f later | tail -n 1
engine logs -f later | wc -l
journalctl -q -o cat CONTAINER_NAME=box CONTAINER_TAG=t KEY=value PRIORITY=3
engine rm box long later
engine system stop >/dev/null
kill $journald; wait $journald
END
exec unshare --mount --propagation private bash inside
"#;

const PRINTED: &str = "\
one
threeone
three
three
KEY=value one
2
40001
40001
last
201
two
box
long
later";

#[test]
fn logs_are_read_back_from_the_journal() {
    let installed = |program: &str| Path::new(program).exists();
    if !rustix::process::geteuid().is_root()
        || !installed("/lib/systemd/systemd-journald")
        || Command::new("journalctl").arg("--version").output().is_err()
    {
        return skip("a journal of its own needs root, systemd-journald and journalctl");
    }
    let home = Home::new();
    home.load(Image::Busybox);
    home.hull(&["system", "stop"]).success();
    let output = script(&home.command(&[]), INSIDE);
    assert_eq!(output.success(), PRINTED);
}
