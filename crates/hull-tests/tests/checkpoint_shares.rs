//! Checkpoints of containers with volumes, bind mounts and sockets.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use hull_tests::{Home, Image, eventually, eventually_none, kill};
use rustix::fs::{FlockOperation, fcntl_lock, flock};

/// Has all kinds of things open, and does what it finds in `/do`.
const PROGRAM: &str = "\
import contextlib, fcntl, mmap, os, socket, threading, time
os.mkdir('/vol/dir'); os.chdir('/vol/dir')
log = open('log', 'a', buffering=1); log.write('begin\\n')
bound = open('/bind/file', 'r+'); bound.readline()
mapped = os.open('/bind/mapped', os.O_RDWR | os.O_CREAT); os.truncate(mapped, 4096)
page = mmap.mmap(mapped, 4096); page[:5] = b'first'
deleted = open('/vol/deleted', 'w+'); deleted.write('old'); deleted.flush()
os.fchmod(deleted.fileno(), 0o604); os.remove('/vol/deleted')
moved = open('/vol/moved', 'w+', buffering=1); replaced = open('/vol/replaced', 'w+')
gone = open('/vol/gone', 'w+', buffering=1)
whole = open('/vol/whole', 'w'); fcntl.flock(whole, fcntl.LOCK_EX)
part = open('/vol/part', 'w'); fcntl.lockf(part, fcntl.LOCK_EX, 10, 5)
server = socket.socket(socket.AF_UNIX); server.bind('/server'); server.listen()
def serve():
    while True:
        connection = server.accept()[0]; connection.sendall(b'served'); connection.close()
threading.Thread(target=serve, daemon=True).start()
print('ready', flush=True)
while True:
    if os.path.exists('/do'):
        with open('/done.new', 'w') as done, contextlib.redirect_stdout(done):
            try: exec(open('/do').read())
            except OSError as error: print('errno', error.errno)
        os.remove('/do'); os.rename('/done.new', '/done')
    time.sleep(0.05)
";

fn start(home: &Home, flags: &[&str]) {
    let run = ["run", "-d", "--network", "none", "--name", "box"];
    let program = ["python", "python3", "-c", PROGRAM];
    home.hull(&[&run[..], flags, &program].concat()).success();
    eventually("it is ready", || home.hull(&["logs", "box"]).success().contains("ready"));
}

/// Has the program of `name` itself run `script`, and returns what that prints.
fn ask(home: &Home, name: &str, script: &str) -> String {
    let tell = "cat > /do.new; mv /do.new /do; until [ -e /done ]; do sleep 0.05; done; cat /done; rm /done";
    home.hull_with_input(&["exec", "-i", name, "sh", "-c", tell], script).success()
}

/// Makes the directory that is bound, the user's if there is one.
fn bind(home: &Home) -> String {
    let bind = home.path().join("bind");
    home.hull(&["volume", "create", "data"]).success();
    fs::create_dir(&bind).unwrap();
    fs::write(bind.join("file"), "first\nsecond\n").unwrap();
    give(home, &bind);
    give(home, &bind.join("file"));
    format!("{}:/bind", bind.display())
}

/// Gives a file to who owns the home.
fn give(home: &Home, path: &Path) {
    use std::os::unix::fs::{MetadataExt as _, lchown};

    let owner = home.path().metadata().unwrap();
    lchown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
}

/// What a host is after a reboot.
fn kill_all(home: &Home) {
    for (pid, _) in home.processes() {
        kill(pid);
    }
    eventually_none("a process is left", || home.processes());
}

fn goes_on_with_what_was_open(home: &Home) {
    home.load(Image::Python);
    let mount = bind(home);
    start(home, &["-v", "data:/vol", "-v", &mount]);
    assert_eq!(ask(home, "box", "print(bound.readline(), end='')"), "second");
    let create = ["checkpoint", "create", "--leave-running", "box", "one"];
    assert_eq!(home.hull(&create).success(), "one");
    // What is written from here on stays, though nobody remembers.
    ask(home, "box", "log.write('later\\n')");
    kill_all(home);

    let data = home.path().join("volumes/data/_data");
    fs::rename(data.join("moved"), data.join("dir/elsewhere")).unwrap();
    fs::remove_file(data.join("gone")).unwrap();
    fs::remove_file(data.join("replaced")).unwrap();
    fs::write(data.join("replaced"), "another").unwrap();
    fs::write(home.path().join("bind/file"), "FIRST\nSECOND\nthird\n").unwrap();
    let restore = ["start", "--checkpoint", "one", "box"];
    let output = home.hull(&restore);
    assert_eq!(output.success(), "box");
    let errors = output.errors();
    let warned: Vec<_> = errors.lines().filter(|line| line.starts_with("WARNING: `")).collect();
    let is_about = |line: &str, name: &str| line.contains(data.join(name).to_str().unwrap());
    assert!(warned.len() == 2, "{errors}");
    assert!(is_about(warned[0], "gone`") && is_about(warned[1], "replaced`"), "{errors}");

    let said = ask(
        home,
        "box",
        "log.write('after\\n'); print(os.getcwd(), open('log').read().split())
print(bound.readline().strip(), bytes(page[:5])); page[5:9] = b'more'; page.flush()
deleted.seek(0); print(deleted.read(), oct(os.fstat(deleted.fileno()).st_mode & 0o777))
deleted.write('er'); deleted.seek(0); print(deleted.read())
moved.write('moved\\n'); print(sorted(os.listdir('/vol')), os.path.exists('/vol/moved'))
print(open('elsewhere').read(), end='')
print(open('/vol/replaced').read())
for lost in gone, replaced:
    try: lost.write('x'); lost.flush()
    except OSError as error: print(error.errno)",
    );
    let wanted = "/vol/dir ['begin', 'later', 'after']
third b'first'
old 0o604
older
['dir', 'part', 'replaced', 'whole'] False
moved
another
116
116";
    assert_eq!(said, wanted);
    assert!(fs::read(home.path().join("bind/mapped")).unwrap().starts_with(b"firstmore\0"));
    assert_eq!(fs::read(data.join("replaced")).unwrap(), b"another");

    // It has its locks again.
    let open = |name: &str| File::options().write(true).open(data.join(name)).unwrap();
    let (whole, part) = (open("whole"), open("part"));
    let exclusive = FlockOperation::NonBlockingLockExclusive;
    let locks = || [flock(&whole, exclusive).is_ok(), fcntl_lock(&part, exclusive).is_ok()];
    assert_eq!(locks(), [false; 2]);

    // What was restored is forked, and saved again.
    home.hull(&["fork", "--name", "twin", "box"]).success();
    assert_eq!(
        ask(home, "twin", "deleted.seek(0); print(os.getcwd(), deleted.read())"),
        "/vol/dir older"
    );
    home.hull(&["rm", "-f", "twin"]).success();
    home.hull(&["checkpoint", "create", "box", "two"]).success();
    // Its supervisor ends a moment after it.
    eventually("it has none any more", || locks() == [true; 2]);
    let refused = home.hull(&["start", "--checkpoint", "two", "box"]);
    assert!(
        refused.code == 1 && refused.errors().contains("somebody else has locked"),
        "{refused:?}"
    );
    drop((whole, part));
    home.hull(&["start", "--checkpoint", "two", "box"]).success();
    assert_eq!(
        ask(home, "box", "deleted.seek(0); print(os.getcwd(), deleted.read())"),
        "/vol/dir older"
    );
    assert_eq!(ask(home, "box", "gone.write('x\\n')"), "errno 116");

    refuses_what_it_cannot_keep(home);
    refuses_to_start_without_what_is_mounted(home, &data);
}

fn refuses_what_it_cannot_keep(home: &Home) {
    let script = "huge = open('/vol/huge', 'w'); os.posix_fallocate(huge.fileno(), 0, 300 << 20)
os.remove('/vol/huge')";
    assert_eq!(ask(home, "box", script), "");
    let refused = home.hull(&["checkpoint", "create", "box", "huge"]);
    let errors = refused.errors();
    assert!(refused.code == 1 && errors.contains("/huge` has been deleted"), "{errors}");
    // Closed, it is nobody's any more.
    assert_eq!(ask(home, "box", "huge.close()"), "");
    home.hull(&["checkpoint", "create", "box", "three"]).success();
}

fn refuses_to_start_without_what_is_mounted(home: &Home, data: &Path) {
    let refused = |text: &str| {
        let output = home.hull(&["start", "--checkpoint", "three", "box"]);
        let errors = output.errors();
        assert!(output.code == 1 && errors.contains(text), "{errors}");
    };
    for path in [home.path().join("bind"), data.to_owned()] {
        let away = home.path().join("away");
        fs::rename(&path, &away).unwrap();
        refused(path.to_str().unwrap());
        assert!(!path.exists());
        fs::write(&path, "").unwrap();
        give(home, &path);
        refused("no longer a directory");
        fs::remove_file(&path).unwrap();
        fs::rename(&away, &path).unwrap();
    }
    home.hull(&["start", "--checkpoint", "three", "box"]).success();
    assert_eq!(ask(home, "box", "print(os.getcwd())"), "/vol/dir");
    home.hull(&["rm", "-f", "box"]).success();
    home.hull(&["system", "stop"]).success();
    eventually_none("a process is left", || home.processes());
}

#[test]
fn a_container_goes_on_with_what_it_had_open_of_volumes_and_binds() {
    goes_on_with_what_was_open(&Home::new());
}

#[test]
fn so_does_one_of_an_ordinary_user() {
    goes_on_with_what_was_open(&Home::of_ordinary_user(&[]));
}

#[test]
fn sockets_lead_to_and_from_a_container_that_goes_on() {
    let home = Home::new();
    home.load(Image::Python);
    let mount = bind(&home);
    let (inside, outside) = (home.path().join("inside.sock"), home.path().join("outside.sock"));
    let listener = UnixListener::bind(&outside).unwrap();
    let answering = std::thread::spawn(move || {
        for connection in listener.incoming().take(2) {
            connection.unwrap().write_all(b"answered").unwrap();
        }
    });
    let publish = format!("{}:/server", inside.display());
    let outside = format!("{}:/outside", outside.display());
    let flags = ["--publish-socket", &publish, "-v", "data:/vol", "-v", &mount, "-v", &outside];
    start(&home, &flags);
    let read_all = "peer = socket.socket(socket.AF_UNIX); peer.connect('/outside')
print(peer.recv(100).decode())";
    let served = || {
        let mut said = String::new();
        let connected = UnixStream::connect(&inside);
        connected.and_then(|mut stream| stream.read_to_string(&mut said)).map(|_| said)
    };
    assert_eq!(ask(&home, "box", read_all), "answered");
    assert_eq!(served().unwrap(), "served");
    home.hull(&["checkpoint", "create", "--leave-running", "box", "one"]).success();
    kill_all(&home);
    home.hull(&["start", "--checkpoint", "one", "box"]).success();
    eventually("the published socket leads there", || served().is_ok_and(|said| said == "served"));
    // Its connection has ended, and it makes another.
    let again = format!("print(peer.recv(100)); {read_all}");
    assert_eq!(ask(&home, "box", &again), "b''\nanswered");
    answering.join().unwrap();
    home.hull(&["rm", "-f", "box"]).success();
}
