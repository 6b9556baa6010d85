//! No two forks of a template have anything in common that must be their own.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hull_tests::{Home, Image, Registry};
use serde_json::Value;

const FORKS: usize = 12;

/// Prints what must differ, read twice where the second read could be another's first, and the
/// clock. Numbers of TCP connections are those that a raw socket sees on the loopback interface;
/// they have a part of the clock in them, which is taken out: what is left depends on a secret.
const SCRIPT: &str = r#"
import json, os, socket, struct, time

wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
wire.settimeout(5)

def sequence(source, port):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind(("127.0.0.1", source))
    now = time.time_ns()
    client.connect(("127.0.0.1", port))
    while True:
        packet = wire.recv(4096)
        tcp = packet[(packet[0] & 15) * 4:]
        if struct.unpack(">HH", tcp[:4]) == (source, port) and tcp[13] & 2:
            return (struct.unpack(">I", tcp[4:8])[0] - (now >> 6)) & 0xffffffff

def read(path):
    with open(path, "rb") as file:
        return file.read(32)

first = time.time()
uuid = "/proc/sys/kernel/random/uuid"
print(json.dumps({
    "time": first,
    "unique": [os.getrandom(32).hex() for _ in range(2)]
        + [read("/dev/urandom").hex() for _ in range(2)]
        + [read("/dev/random").hex()]
        + [read(uuid).decode() for _ in range(2)]
        + ["boot " + read("/proc/sys/kernel/random/boot_id").decode()]
        + ["name " + socket.gethostname()]
        + ["layout " + line for line in open("/proc/self/maps") if "[stack]" in line],
    "boot_id": [read("/proc/sys/kernel/random/boot_id").decode() for _ in range(2)],
    "sequences": [sequence(40001, 5001), sequence(40002, 5002), sequence(40003, 5003)],
}))
"#;

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// Returns what the script prints in a new container; checks the clock.
fn sample(home: &Home, image: &str, name: &str) -> Value {
    let before = now();
    let run = ["run", "--name", name, "--network", "none", image, "python3", "-c", SCRIPT];
    let output = home.hull(&run).success();
    let after = now();
    let value: Value = serde_json::from_str(&output).expect("JSON");
    let time = value["time"].as_f64().expect("a time");
    assert!(before - 1.0 < time && time < after + 1.0, "{before} {time} {after}");
    let boots = value["boot_id"].as_array().expect("an array");
    assert_eq!(boots[0], boots[1], "a boot has one ID");
    value
}

fn differ(all: &[Value]) {
    let mut seen = HashSet::new();
    for value in all {
        for text in value["unique"].as_array().expect("an array") {
            let text = text.as_str().expect("a text");
            assert!(text.len() > 8 && seen.insert(text.to_owned()), "twice: {text}");
        }
    }
    // Within what clocks and schedulers do to it, the same secret gives the same numbers; other
    // secrets give one number that is so by chance, but hardly three.
    let near = |a: &Value, b: &Value| {
        let (a, b) = (a.as_u64().expect("a number") as u32, b.as_u64().expect("a number") as u32);
        let distance = a.wrapping_sub(b).min(b.wrapping_sub(a));
        distance < 1 << 24
    };
    for (index, one) in all.iter().enumerate() {
        for other in &all[..index] {
            let (one, other) = (&one["sequences"], &other["sequences"]);
            let same = (0..3).all(|at| near(&one[at], &other[at]));
            assert!(!same, "of one secret: {one} {other}");
        }
    }
}

#[test]
fn forks_have_nothing_in_common() {
    let registry = Registry::with_images(&[Image::Python]);
    let home = Home::configured("[pool]\nsize = 0\n");
    home.pull(&registry, &[Image::Python]);
    let image = registry.name(&Image::Python);
    let all: Vec<Value> = thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let (home, image) = (&home, &image);
                scope.spawn(move || -> Vec<Value> {
                    let names = (0..FORKS / 2).map(|fork| format!("box-{worker}-{fork}"));
                    names.map(|name| sample(home, image, &name)).collect()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    });
    differ(&all);
    let (mode, template) = home.origin("box-0-0");
    assert_eq!(mode, "fork", "{template}");
    assert_eq!(home.origin("box-1-1"), (mode, template));
}

#[test]
fn machines_of_the_pool_have_nothing_in_common_and_know_the_time() {
    let registry = Registry::with_images(&[Image::Python]);
    let home = Home::with_images(&registry, &[Image::Python]);
    let image = registry.name(&Image::Python);
    let mut all = Vec::new();
    while all.len() < 4 {
        hull_tests::eventually("a machine waits", || {
            home.hull(&["system", "metrics"]).text().contains("hull_pool_machines 2")
        });
        // A clock that stood still while the machine waited would be seen.
        thread::sleep(Duration::from_millis(1500));
        all.push(sample(&home, &image, &format!("box-{}", all.len())));
    }
    differ(&all);
    for index in 0..all.len() {
        let (mode, why) = home.origin(&format!("box-{index}"));
        assert_eq!(mode, "pool", "{why}");
    }
}
