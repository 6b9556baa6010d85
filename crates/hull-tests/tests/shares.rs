//! Directories that containers, and the host, change and lock at the same time.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use hull_tests::Home;
use rustix::fs::{FlockOperation, flock};

/// A container's Python, which stays the same process from question to question.
struct Python {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    fn start(home: &Home, name: &str, mount: &str, image: &str) -> Self {
        let script = "import fcntl, mmap, os, sys
os.chdir('/m')
def content(name):
    try: return open(name).read()
    except OSError as error: return error.strerror
for line in sys.stdin:
    try: print(eval(line, globals()))
    except OSError as error: print(error.strerror)
    sys.stdout.flush()
";
        let arguments =
            ["run", "-i", "--rm", "--name", name, "-v", mount, image, "python3", "-c", script];
        let mut command = home.command(&arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("hull");
        let questions = child.stdin.take().expect("stdin");
        let answers = BufReader::new(child.stdout.take().expect("stdout"));
        let mut python = Self { child, questions, answers };
        assert_eq!(python.ask("1 + 1"), "2");
        python
    }

    fn begin(&mut self, question: &str) {
        writeln!(self.questions, "{question}").expect("a question");
    }

    fn answer(&mut self) -> String {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("an answer");
        answer.trim_end().to_owned()
    }

    fn ask(&mut self, question: &str) -> String {
        self.begin(question);
        self.answer()
    }

    /// Asks until the answer is `wanted`: what is known already is forgotten when word has come of
    /// the change, long before it would be looked up again (30 s).
    #[track_caller]
    fn learns(&mut self, question: &str, wanted: &str) {
        let begin = Instant::now();
        let mut answer = self.ask(question);
        while answer != wanted && begin.elapsed() < Duration::from_secs(10) {
            answer = self.ask(question);
        }
        assert_eq!(answer, wanted);
    }

    fn end(mut self) {
        drop(self.questions);
        assert!(self.child.wait().expect("an end").success());
    }
}

#[test]
fn nothing_that_the_host_changes_is_seen_as_it_was() {
    let (_registry, home, image) = Home::with_python();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let mount = format!("{}:/m", dir.path().display());
    for (name, content) in [("written", "old"), ("mode", ""), ("gone", ""), ("replaced", "old")] {
        fs::write(path(name), content).unwrap();
    }
    fs::write(path("linked"), "old").unwrap();
    fs::hard_link(path("linked"), path("another")).unwrap();
    fs::create_dir_all(path("dir/below")).unwrap();
    fs::write(path("dir/below/file"), "old").unwrap();
    symlink("written", path("link")).unwrap();
    let mut guest = Python::start(&home, "box", &mount, &image);
    guest.ask(
        "globals().update(held=open('written'), map=mmap.mmap(os.open('written', 0), 3, prot=1))",
    );
    let look = "held.seek(0), held.read(), map[:], oct(os.stat('mode').st_mode), \
        os.path.exists('gone'), os.path.exists('new'), content('replaced'), content('another'), \
        os.readlink('link'), content('dir/below/file'), sorted(os.listdir('dir')), \
        os.stat('written').st_size";
    let before = "(0, 'old', b'old', '0o100644', True, False, 'old', 'old', 'written', 'old', \
        ['below'], 3)";
    for _ in 0..3 {
        assert_eq!(guest.ask(look), before);
    }

    fs::write(path("written"), "newer").unwrap();
    fs::set_permissions(path("mode"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(path("gone")).unwrap();
    fs::write(path("new"), "").unwrap();
    fs::write(path("replacement"), "new").unwrap();
    fs::rename(path("replacement"), path("replaced")).unwrap();
    fs::write(path("linked"), "new").unwrap();
    fs::remove_file(path("link")).unwrap();
    symlink("new", path("link")).unwrap();
    fs::rename(path("dir/below"), path("dir/moved")).unwrap();
    let after = "(0, 'newer', b'new', '0o100600', False, True, 'new', 'new', 'new', \
        'No such file or directory', ['moved'], 5)";
    guest.learns(look, after);

    // The other way there is nothing to be told: the host sees the same files.
    guest.ask("open('answer', 'w').write('guest')");
    assert_eq!(fs::read_to_string(path("answer")).unwrap(), "guest");
    fs::write(path("answer"), "host").unwrap();
    guest.learns("content('answer')", "host");
    guest.end();
}

#[test]
fn two_containers_see_each_others_changes_and_locks() {
    let (_registry, home, image) = Home::with_python();
    let mut first = Python::start(&home, "first", "both:/m", &image);
    first.ask("open('data', 'w').write('first')");
    first.ask(
        "globals().update(data=open('data', 'r+', buffering=1), \
        other=os.open('other', os.O_RDWR|os.O_CREAT), whole=open('whole', 'w'))",
    );
    // Everything is known to it before the second one comes.
    assert_eq!(first.ask("content('data'), os.path.exists('new')"), "('first', False)");
    let mut second = Python::start(&home, "second", "both:/m", &image);
    for round in 0..5 {
        second.ask(&format!("open('data', 'w').write('round {round}')"));
        let wanted = format!("(0, 'round {round}', 'round {round}')");
        first.learns("data.seek(0), data.read(), content('data')", &wanted);
        second.ask("os.mkdir('new')");
        first.learns("os.path.exists('new')", "True");
        first.ask("os.rmdir('new')");
        assert_eq!(second.ask("os.path.exists('new')"), "False");
    }

    let open = "globals().update(other=os.open('other', os.O_RDWR), whole=open('whole', 'r'))";
    second.ask(open);
    let range = |how: &str, start: u32| format!("fcntl.lockf(other, fcntl.{how}, 10, {start})");
    let busy = "Resource temporarily unavailable";
    assert_eq!(first.ask(&range("LOCK_EX", 0)), "None");
    assert_eq!(second.ask(&range("LOCK_EX|fcntl.LOCK_NB", 5)), busy);
    assert_eq!(second.ask(&range("LOCK_EX|fcntl.LOCK_NB", 10)), "None");
    assert_eq!(first.ask("fcntl.flock(whole, fcntl.LOCK_SH)"), "None");
    assert_eq!(second.ask("fcntl.flock(whole, fcntl.LOCK_SH|fcntl.LOCK_NB)"), "None");
    assert_eq!(second.ask("fcntl.flock(whole, fcntl.LOCK_EX|fcntl.LOCK_NB)"), busy);
    // The host's locks are the same, too.
    let volume = home.path().join("volumes/both/_data");
    let whole = fs::File::open(volume.join("whole")).unwrap();
    let exclusive = FlockOperation::NonBlockingLockExclusive;
    assert!(flock(&whole, exclusive).is_err());

    // Closing any descriptor of a file gives all up that the process has locked in it.
    second.begin(&range("LOCK_EX", 0));
    assert_eq!(first.ask("os.close(os.open('other', os.O_RDWR))"), "None");
    assert_eq!(second.answer(), "None");
    assert_eq!(first.ask(&range("LOCK_EX|fcntl.LOCK_NB", 0)), busy);
    // So does the end of a process, and of a machine.
    first.begin("fcntl.flock(whole, fcntl.LOCK_EX)");
    hull_tests::kill(home.machine_pid("second"));
    let _ = second.child.wait();
    assert_eq!(first.answer(), "None");
    assert_eq!(first.ask(&range("LOCK_EX|fcntl.LOCK_NB", 0)), "None");
    first.end();
    flock(&whole, exclusive).unwrap();
}

#[test]
fn files_are_as_on_a_local_disk() {
    let (_registry, home, image) = Home::with_python();
    let dir = tempfile::tempdir().unwrap();
    let mount = format!("{}:/bind", dir.path().display());
    home.hull(&[
        "run", "-d", "--name", "box", "-v", &mount, "-v", "/volume", &image, "sleep", "9999",
    ])
    .success();
    for place in ["/root", "/bind", "/volume"] {
        let directory = format!("{place}/files");
        home.hull(&["exec", "box", "mkdir", &directory]).success();
        let script = include_str!("scripts/files.py");
        let output = home.hull(&["exec", "box", "python3", "-c", script, &directory]);
        assert_eq!((output.code, output.errors().as_str()), (0, ""), "{place}");
    }
    home.hull(&["rm", "-f", "-v", "box"]).success();
}
