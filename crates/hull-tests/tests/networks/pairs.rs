//! Many containers on many networks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::thread;

use hull_tests::Home;

const CONTAINERS: usize = 30;
const NETWORKS: usize = 5;

/// Each is in one network, every third one in the next one, too, and every tenth in all.
fn networks_of(number: usize) -> BTreeSet<usize> {
    match number {
        _ if number % 10 == 9 => (0..NETWORKS).collect(),
        _ if number.is_multiple_of(3) => [number % NETWORKS, (number + 1) % NETWORKS].into(),
        _ => [number % NETWORKS].into(),
    }
}

/// Calls `work` with the number of every container, on a few threads.
fn for_all(work: impl Fn(usize) + Sync) {
    let next = Mutex::new(0..CONTAINERS);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let number = next.lock().expect("a number").next();
                    let Some(number) = number else { return };
                    work(number);
                }
            });
        }
    });
}

/// The addresses of a container, by the numbers of its networks.
fn addresses(home: &Home, number: usize) -> BTreeMap<usize, String> {
    let format =
        "{{range $name, $it := .NetworkSettings.Networks}}{{$name}} {{$it.IPAddress}} {{end}}";
    let shown = home.hull(&["inspect", "-f", format, &format!("box{number}")]).success();
    let words: Vec<&str> = shown.split_whitespace().collect();
    let number = |name: &str| name.trim_start_matches("net").parse().expect("a network");
    words.chunks(2).map(|pair| (number(pair[0]), pair[1].to_owned())).collect()
}

#[test]
fn thirty_containers_on_five_networks() {
    let (_registry, home, image) = Home::with_busybox();
    for network in 0..NETWORKS {
        home.hull(&["network", "create", &format!("net{network}")]).success();
    }
    let all = Mutex::new(BTreeMap::new());
    for_all(|number| {
        let name = format!("box{number}");
        let networks: Vec<String> =
            networks_of(number).iter().map(|network| format!("net{network}")).collect();
        // Some are in all of their networks from the start, and others get them while they run.
        let at_start = if number % 2 == 0 { networks.len() } else { 1 };
        let mut run = vec!["run", "-d", "--name", &name];
        run.extend(networks[..at_start].iter().flat_map(|network| ["--network", network]));
        run.extend([&image, "httpd", "-f", "-h", "/etc"]);
        home.hull(&run).success();
        for network in &networks[at_start..] {
            home.hull(&["network", "connect", network, &name]).success();
        }
        let found = addresses(&home, number);
        assert_eq!(found.keys().copied().collect::<BTreeSet<_>>(), networks_of(number));
        all.lock().expect("no panic").insert(number, found);
    });
    let all = all.into_inner().expect("no panic");
    for_all(|number| {
        let own = networks_of(number);
        let every = all.values().flatten();
        let (allowed, forbidden): (Vec<_>, Vec<_>) =
            every.partition(|(network, _)| own.contains(network));
        let name = format!("box{number}");
        let wanted: BTreeSet<&str> = allowed.iter().map(|(_, address)| address.as_str()).collect();
        let mut tried: Vec<&str> = forbidden.iter().map(|(_, address)| address.as_str()).collect();
        tried.extend(&wanted);
        let mut seen = BTreeSet::new();
        // All at once; who does not answer on a busy host is given more time.
        for patience in [2, 30] {
            let line = format!(
                "for a in {}; do nc -w {patience} $a 80 </dev/null >/dev/null 2>&1 && echo $a & done; wait",
                tried.join(" ")
            );
            let answered = home.hull(&["exec", &name, "sh", "-c", &line]).success();
            seen.extend(answered.lines().map(str::to_owned));
            tried = wanted.iter().copied().filter(|address| !seen.contains(*address)).collect();
            if tried.is_empty() {
                break;
            }
        }
        let seen: BTreeSet<&str> = seen.iter().map(String::as_str).collect();
        assert_eq!(seen, wanted, "{name}");
    });
}
