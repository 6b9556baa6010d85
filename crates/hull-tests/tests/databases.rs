//! Databases under which somebody dies: what they were told is on disk is there.

use hull_tests::{Home, eventually, kill};

/// Two processes that write one database in WAL mode: its locks, and memory that both have mapped.
const WRITERS: &str = "import os, sqlite3, sys, time
def connect():
    base = sqlite3.connect('/m/base', timeout=60, isolation_level=None)
    base.execute('pragma synchronous=full')
    return base
if not os.path.exists('/m/base'):
    base = connect()
    base.execute('pragma journal_mode=wal')
    base.execute('create table row(writer, number, unique(writer, number))')
    base.close()
first = os.fork()
base = connect()
writer = 'first' if first else 'second'
start = base.execute('select count(*) from row where writer = ?', [writer]).fetchone()[0]
for number in range(start, 1000000):
    base.execute('insert into row values(?, ?)', [writer, number])
    print(writer, number, flush=True)
";

const COUNT: &str = "import sqlite3
base = sqlite3.connect('/m/base')
print(base.execute('pragma integrity_check').fetchone()[0],
      *(row[0] for row in base.execute('select count(*) from row group by writer order by writer')))
";

/// Runs the writers for a while, has somebody die, and counts what there is. `start` is how to run them, and `count` what runs [`COUNT`] after that.
fn survives(home: &Home, start: &dyn Fn(), die: &dyn Fn(), count: &dyn Fn() -> String) {
    let written = |writer: &str| {
        let lines = home.hull(&["logs", "box"]).success();
        let last = lines.lines().rfind(|line| line.starts_with(writer)).map(str::to_owned);
        last.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
    };
    start();
    let before = ["first", "second"].map(&written);
    eventually("both write", || {
        let now = ["first", "second"].map(&written);
        now.iter().zip(before).all(|(now, before)| *now > Some(before.unwrap_or(0) + 20))
    });
    die();
    eventually("the end is seen", || {
        home.hull(&["inspect", "-f", "{{.State.Running}}", "box"]).text() == "false"
    });
    let last = ["first", "second"].map(&written);
    let found = count();
    let mut words = found.split(' ');
    assert_eq!(words.next(), Some("ok"));
    for (writer, last) in ["first", "second"].into_iter().zip(last) {
        let count: u64 = words.next().and_then(|word| word.parse().ok()).expect("a count");
        // What was said to be there is there.
        assert!(Some(count) > last, "{writer}: {count}, and {last:?} was written");
    }
}

fn supervisor_pid(home: &Home) -> u32 {
    home.state("box")["supervisor_pid"].as_u64().expect("a pid") as u32
}

#[test]
fn a_database_on_a_volume_survives_machine_and_supervisor() {
    let (_registry, home, image) = Home::with_python();
    let start = || {
        let arguments = ["run", "-d", "--name", "box", "-v", "data:/m", &image];
        home.hull(&[&arguments[..], &["python3", "-c", WRITERS]].concat()).success();
    };
    let count = || {
        home.hull(&["rm", "-f", "box"]).success();
        home.hull(&["run", "--rm", "-v", "data:/m", &image, "python3", "-c", COUNT]).success()
    };
    survives(&home, &start, &|| kill(home.machine_pid("box")), &count);
    survives(&home, &start, &|| kill(supervisor_pid(&home)), &count);
}

/// The disk of the container itself: its journal is replayed when it starts again.
#[test]
fn a_database_in_a_container_survives_all_that_belongs_to_it() {
    let (_registry, home, image) = Home::with_python();
    let writers = format!("import os\nos.makedirs('/m', exist_ok=True)\n{WRITERS}");
    home.hull(&["create", "--name", "box", &image, "python3", "-c", &writers]).success();
    let start = || {
        home.hull(&["start", "box"]).success();
    };
    let count = || {
        home.hull(&["start", "box"]).success();
        let counted = home.hull(&["exec", "box", "python3", "-c", COUNT]).success();
        home.hull(&["stop", "-t", "0", "box"]).success();
        counted
    };
    // The daemon first: nobody is told that the machine dies.
    let die = || {
        let machine = home.machine_pid("box");
        kill(home.daemon_pid());
        kill(machine);
    };
    survives(&home, &start, &die, &count);
    survives(&home, &start, &|| kill(supervisor_pid(&home)), &count);
}
