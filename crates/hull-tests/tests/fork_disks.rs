//! Disks of containers that are forked.

use hull_tests::{Home, eventually};

/// Has a large file, and writes others all the time; when it begins anew, looks at what it finds.
const WRITER: &str = "\
if [ -e /sum ]; then
  md5sum -c /sum; awk '$1 != NR { print \"wrong\", NR }' /log; echo looked
fi
[ -e /sum ] || {
  head -c 1m /dev/urandom > /one; i=0
  while [ $i -lt 80 ]; do cat /one; i=$((i + 1)); done > /big
  md5sum /big > /sum; sync
}
n=$(cat /log 2>/dev/null | wc -l)
while :; do
  n=$((n + 1)); echo $n >> /log
  dd if=/big of=/other bs=1M count=2 seek=$((n % 20)) conv=notrunc,fsync 2>/dev/null
done";

#[test]
fn a_large_disk_is_copied_while_it_is_written() {
    let (_registry, home, image) = Home::with_busybox();
    home.hull(&["run", "-d", "--name", "source", &image, "sh", "-c", WRITER]).success();
    let written = |name: &str| {
        let count = home.hull(&["exec", name, "sh", "-c", "wc -l < /log || echo 0"]);
        count.text().trim().parse().unwrap_or(0)
    };
    eventually("it writes", || written("source") > 0);
    home.hull(&["fork", "-n", "2", "--name", "child", "source"]).success();
    home.hull(&["checkpoint", "create", "--leave-running", "source", "one"]).success();
    let names = ["source", "child-1", "child-2"];
    for name in names {
        let before: u64 = written(name);
        eventually("it goes on", || written(name) > before);
    }
    home.hull(&["stop", "-t", "0", "source"]).success();
    home.hull(&["start", "--checkpoint", "one", "source"]).success();
    // What is on their disks, not what they remember of it.
    home.hull(&[&["restart", "-t", "0"], &names[..]].concat()).success();
    for name in names {
        let log = || home.hull(&["logs", name]).text();
        eventually("it has looked", || log().contains("looked"));
        assert_eq!(log().trim(), "/big: OK\nlooked", "{name}");
    }
    home.hull(&[&["rm", "-f"], &names[..]].concat()).success();
}
