//! Standard streams: nothing lost, nothing mixed, back-pressure, large and binary.

use std::time::Duration;

use hull_tests::{Home, run_with_input};

/// Bytes that repeat with no short period, so that a lost or doubled block shows.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[test]
fn a_hundred_mebibytes_pass_through_unchanged() {
    let (_registry, home, image) = Home::with_busybox();
    let input = pattern(100 << 20);
    let mut command = home.command(&["run", "--rm", "-i", "--network", "none", &image, "cat"]);
    let output = run_with_input(&mut command, input.clone(), Duration::from_secs(600));
    assert_eq!(output.code, 0, "{}", output.errors());
    assert_eq!(output.stdout.len(), input.len());
    assert!(output.stdout == input, "the bytes changed on their way");
}

#[test]
fn ten_thousand_lines_to_both_streams() {
    let (_registry, home, image) = Home::with_busybox();
    let script = "i=0; while [ $i -lt 10000 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done";
    let output =
        home.hull(&["run", "--name", "lines", "--network", "none", &image, "sh", "-c", script]);
    let expected = |word: &str| (0..10_000).map(|i| format!("{word} {i}\n")).collect::<String>();
    assert_eq!(output.code, 0, "{}", output.errors());
    assert!(output.stdout == expected("out").into_bytes(), "stdout differs");
    assert!(output.stderr == expected("err").into_bytes(), "stderr differs");
    let logs = home.hull(&["logs", "lines"]);
    assert!(logs.stdout == expected("out").into_bytes(), "logged stdout differs");
    assert!(logs.stderr == expected("err").into_bytes(), "logged stderr differs");
    let last = home.hull(&["logs", "-n", "2", "lines"]);
    assert_eq!(last.stdout.len() + last.stderr.len(), "out 9999\nerr 9999\n".len());
    home.hull(&["rm", "lines"]).success();
}

#[test]
fn output_before_a_quick_exit_is_complete() {
    let (_registry, home, image) = Home::with_busybox();
    for length in [1, 65_536, 1_000_000] {
        let script = format!("head -c {length} /dev/zero; exit 7");
        let output = home.hull(&["run", "--rm", "--network", "none", &image, "sh", "-c", &script]);
        assert_eq!((output.code, output.stdout.len()), (7, length), "{}", output.errors());
    }
}

#[test]
fn exec_has_streams_of_its_own() {
    let (_registry, home, image) = Home::with_busybox();
    home.hull(&["run", "-d", "--name", "box", "--network", "none", &image, "sleep", "1000"])
        .success();
    let input = pattern(3 << 20);
    let output = home.hull_with_input(&["exec", "-i", "box", "cat"], input.clone());
    assert_eq!(output.code, 0, "{}", output.errors());
    assert!(output.stdout == input, "the bytes changed on their way");
    let output = home.hull(&["exec", "box", "sh", "-c", "echo out; echo err >&2; exit 6"]);
    assert_eq!((output.text().as_str(), output.errors().as_str()), ("out", "err\n"));
    assert_eq!(output.code, 6);
    assert_eq!(home.hull(&["exec", "box", "nosuch"]).code, 126);
    assert_eq!(home.hull(&["exec", "box", "/etc/passwd"]).code, 126);
    assert_eq!(home.hull(&["exec", "-u", "www", "box", "id", "-un"]).success(), "www");
    assert_eq!(
        home.hull(&["exec", "-w", "/tmp", "-e", "A=b", "box", "sh", "-c", "pwd; echo $A"])
            .success(),
        "/tmp\nb"
    );
    home.hull(&["rm", "-f", "box"]).success();
}
