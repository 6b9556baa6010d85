//! Forks of containers with volumes and bind mounts.

use std::fs;

use hull_tests::{Home, Image, Registry, eventually};
use rustix::fs::{FlockOperation, fcntl_lock, flock};

/// Has files open in a volume, a bind mount and an anonymous volume, and does what it finds in
/// `/do`.
const PROGRAM: &str = "\
echo old > /vol/deleted; exec 4</vol/deleted; rm /vol/deleted
exec 5>>/vol/log 6</bind/file 7>>/anonymous/log
mkdir /vol/dir; cd /vol/dir
while :; do
  if [ -e /do ]; then
    . /do > /done.new 2>&1
    rm /do; mv /done.new /done
  fi
  sleep 0.1
done";

/// Has the program of `name` itself run `script`, and returns what that prints.
fn ask(home: &Home, name: &str, script: &str) -> String {
    let tell = format!("echo '{script}' > /do.new; mv /do.new /do; ");
    let look = "until [ -e /done ]; do sleep 0.05; done; cat /done; rm /done";
    home.hull(&["exec", name, "sh", "-c", &(tell + look)]).success()
}

#[test]
fn what_is_open_of_volumes_and_binds_is_open_in_children() {
    let (_registry, home, image) = Home::with_busybox();
    let bind = home.path().join("bind");
    fs::create_dir(&bind).unwrap();
    fs::write(bind.join("file"), "first\nsecond\n").unwrap();
    let mount = format!("{}:/bind", bind.display());
    let flags = ["-v", "data:/vol", "-v", &mount, "-v", "/anonymous", "--name", "source"];
    home.hull(&[&["run", "-d"], &flags[..], &[&image, "sh", "-c", PROGRAM]].concat()).success();
    let line = "read line <&6; echo $line; echo one >&5; echo one >&7";
    assert_eq!(ask(&home, "source", line), "first");
    let volumes = home.hull(&["volume", "ls", "-q"]).success();
    home.hull(&["fork", "-n", "2", "--name", "kid", "source"]).success();
    assert_eq!(home.hull(&["volume", "ls", "-q"]).success(), volumes);

    // Each goes on by itself with what is open, and all see what the others write.
    for name in ["kid-1", "kid-2", "source"] {
        let script = format!(
            "read line <&6; echo $line; cat <&4; pwd; echo {name} >&5; echo {name} >&7; touch {name}"
        );
        let before = if name == "source" { "" } else { "old\n" };
        let said = ask(&home, name, &script);
        assert!(said.starts_with("second\n") && said.ends_with("/vol/dir"), "{name}: {said}");
        assert!(said.contains(before), "{name}: {said}");
    }
    home.hull(&["fork", "--name", "grandkid", "kid-2"]).success();
    ask(&home, "grandkid", "echo last >&5; echo last >&7");
    let wanted = "one\nkid-1\nkid-2\nsource\nlast\n";
    for name in ["source", "kid-1", "kid-2", "grandkid"] {
        let shown = ask(&home, name, "cat /vol/log /anonymous/log; ls");
        assert_eq!(shown, format!("{wanted}{wanted}kid-1\nkid-2\nsource"), "{name}");
    }
    fs::write(bind.join("file"), "new\n").unwrap();
    for name in ["source", "kid-1", "grandkid"] {
        eventually("the host's change is seen", || ask(&home, name, "cat /bind/file") == "new");
    }

    home.hull(&["rm", "-f", "-v", "source"]).success();
    // What has no name stays until the last has gone.
    assert_eq!(home.hull(&["volume", "ls", "-q"]).success(), volumes);
    assert_eq!(ask(&home, "kid-2", "tail -n 1 /anonymous/log"), "last");
    home.hull(&["rm", "-f", "-v", "kid-1", "kid-2", "grandkid"]).success();
    assert_eq!(home.hull(&["volume", "ls", "-q"]).success(), "data");
}

/// Counts in files that are called like the host.
const WRITER: &str = "\
for k in 1 2 3; do
  (n=0; while :; do n=$((n+1)); read h < /proc/sys/kernel/hostname; echo $n >> /vol/$h.$k; done) &
done
dd if=/dev/urandom of=/vol/big bs=1M count=8 2>/dev/null; md5sum /vol/big > /vol/sum
while :; do md5sum -c /vol/sum > /dev/null 2>&1 || echo bad >> /vol/bad; ls -lR /vol > /dev/null; done";

#[test]
fn a_fork_in_the_middle_of_writes_neither_loses_nor_repeats_any() {
    let (_registry, home, image) = Home::with_busybox();
    let run = ["run", "-d", "--name", "source", "-v", "data:/vol", &image, "sh", "-c", WRITER];
    home.hull(&run).success();
    let data = home.hull(&["volume", "inspect", "-f", "{{.Mountpoint}}", "data"]).success();
    let data = std::path::Path::new(&data);
    eventually("it writes", || data.join("sum").exists());
    let mut names = vec!["source".to_owned()];
    for number in 0..4 {
        let name = format!("kid{number}");
        // Children of children, too.
        let parent = names[number / 2].clone();
        home.hull(&["fork", "--name", &name, &parent]).success();
        names.push(name);
    }
    let mut ends = Vec::new();
    for name in &names {
        let id = home.hull(&["inspect", "-f", "{{.Id}}", name]).success();
        for writer in 1..=3 {
            let path = data.join(format!("{}.{writer}", &id[..12]));
            let length = || fs::metadata(&path).map_or(0, |metadata| metadata.len());
            let before = length();
            eventually("it goes on", || length() > before);
            ends.push(path);
        }
    }
    home.hull(&["kill", "source", "kid0", "kid1", "kid2", "kid3"]).success();
    for (path, name) in ends.iter().zip(names.iter().flat_map(|name| [name; 3])) {
        let text = fs::read_to_string(path).unwrap();
        let mut numbers: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
        // A child may have read its source's name last before it was one.
        let children = if name == "source" || name == "kid0" { 2 } else { 0 };
        let begin = numbers[0];
        let mut strays = 0;
        let mut next = begin;
        numbers.retain(|number| {
            let is_next = *number == next;
            if is_next {
                next += 1;
            } else {
                strays += 1;
            }
            is_next
        });
        assert!(strays <= children && numbers.len() > 1, "{name} {path:?}: {text}");
        assert!(name != "source" || begin == 1, "{begin}");
    }
    assert!(!data.join("bad").exists());
    home.hull(&[&["rm", "-f"], &names.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat())
        .success();
}

/// Has locks, and a page that is mapped and has not been written to its file.
const LOCKER: &str = "\
import fcntl, mmap, os, time
whole = open('/vol/whole', 'w'); fcntl.flock(whole, fcntl.LOCK_EX)
part = open('/vol/part', 'w'); fcntl.lockf(part, fcntl.LOCK_EX)
data = os.open('/vol/data', os.O_RDWR | os.O_CREAT); os.truncate(data, 4096)
page = mmap.mmap(data, 4096); page[:5] = b'first'
print('ready', flush=True)
while True: time.sleep(1)
";

#[test]
fn locks_stay_with_the_source_and_what_is_mapped_is_written_before() {
    let registry = Registry::with_images(&[Image::Python]);
    let home = Home::with_images(&registry, &[Image::Python]);
    let image = registry.name(&Image::Python);
    let run = ["run", "-d", "--name", "source", "-v", "data:/vol", &image, "python3", "-c", LOCKER];
    home.hull(&run).success();
    eventually("it is ready", || home.hull(&["logs", "source"]).success() == "ready");
    home.hull(&["fork", "--name", "kid", "source"]).success();
    let data = home.path().join("volumes/data/_data");
    assert!(fs::read(data.join("data")).unwrap().starts_with(b"first\0"));

    let open = |name: &str| fs::File::options().write(true).open(data.join(name)).unwrap();
    let (whole, part) = (open("whole"), open("part"));
    let exclusive = FlockOperation::NonBlockingLockExclusive;
    let locks = || [flock(&whole, exclusive).is_ok(), fcntl_lock(&part, exclusive).is_ok()];
    assert_eq!(locks(), [false; 2]);
    home.hull(&["rm", "-f", "source"]).success();
    assert_eq!(locks(), [true; 2]);
    assert_eq!(home.hull(&["exec", "kid", "cat", "/vol/data"]).success()[..5], *"first");
    home.hull(&["rm", "-f", "kid"]).success();
}
