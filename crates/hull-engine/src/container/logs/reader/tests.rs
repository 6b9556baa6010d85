use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::time::Duration;

use super::*;
use crate::container::state::Status;

fn line(number: i64, stream: &str) -> String {
    let time = Timestamp::from_second(number).unwrap();
    format!("{{\"log\":\"line {number}\\n\",\"stream\":\"{stream}\",\"time\":\"{time}\"}}\n")
}

fn lines(numbers: impl IntoIterator<Item = i64>) -> String {
    numbers.into_iter().map(|number| line(number, "stdout")).collect()
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn both() -> LogOptions {
    LogOptions { stdout: true, stderr: true, ..LogOptions::default() }
}

fn start(
    path: &Path,
    options: LogOptions,
    live: Option<watch::Receiver<Live>>,
) -> mpsc::Receiver<Result<LogEntry>> {
    let (sender, entries) = mpsc::channel(8);
    tokio::spawn(Reader::new(path.to_owned(), options, sender).run(live));
    entries
}

fn second(entry: Option<Result<LogEntry>>) -> i64 {
    entry.unwrap().unwrap().time.as_second()
}

async fn all(path: &Path, options: LogOptions) -> Vec<i64> {
    let mut entries = start(path, options, None);
    let mut seconds = vec![];
    while let Some(entry) = entries.recv().await {
        seconds.push(entry.unwrap().time.as_second());
    }
    seconds
}

fn running() -> watch::Sender<Live> {
    let mut live = Live::default();
    live.state.status = Status::Running;
    watch::Sender::new(live)
}

fn end(live: &watch::Sender<Live>) {
    live.send_modify(|live| {
        live.state.status = Status::Exited;
        live.state.finished_at = Some(Timestamp::now());
    });
}

#[tokio::test]
async fn tails_reach_into_rotated_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(dir.path().join("log.2"), lines(1..4)).unwrap();
    fs::write(dir.path().join("log.1"), lines(4..7)).unwrap();
    fs::write(&path, lines(7..9)).unwrap();
    for (tail, first) in [(0, 9), (1, 8), (2, 7), (3, 6), (5, 4), (6, 3), (99, 1)] {
        let options = LogOptions { tail: Some(tail), ..both() };
        assert_eq!(all(&path, options).await, (first..9).collect::<Vec<_>>(), "{tail}");
    }
    assert_eq!(all(&path, both()).await, (1..9).collect::<Vec<_>>());
}

#[tokio::test]
async fn tails_of_files_larger_than_a_block() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(&path, lines(1..5001)).unwrap();
    let options = LogOptions { tail: Some(4000), ..both() };
    assert_eq!(all(&path, options).await, (1001..5001).collect::<Vec<_>>());
}

#[tokio::test]
async fn times_and_streams_are_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(&path, lines([1, 2]) + &line(3, "stderr") + &lines([4, 5])).unwrap();
    let options = LogOptions {
        since: Some(Timestamp::from_second(2).unwrap()),
        until: Some(Timestamp::from_second(4).unwrap()),
        stderr: false,
        ..both()
    };
    assert_eq!(all(&path, options).await, [2, 4]);
}

#[tokio::test]
async fn damaged_lines_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let torn = "{\"log\":\"half";
    fs::write(&path, lines([1]) + torn + "\n" + &lines([2]) + torn).unwrap();
    assert_eq!(all(&path, both()).await, [1, 2]);
}

#[tokio::test]
async fn a_log_that_does_not_exist_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(all(&dir.path().join("log"), both()).await, [0; 0]);
}

#[tokio::test]
async fn following_sees_torn_writes_rotations_and_the_last_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let live = running();
    let options = LogOptions { follow: true, ..both() };
    // The file is made after the reader begins.
    let mut entries = start(&path, options, Some(live.subscribe()));
    tokio::time::sleep(Duration::from_millis(20)).await;
    append(&path, &lines([1]));
    assert_eq!(second(entries.recv().await), 1);
    let torn = line(2, "stdout");
    let (head, tail) = torn.split_at(9);
    append(&path, head);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(entries.try_recv().is_err());
    append(&path, tail);
    assert_eq!(second(entries.recv().await), 2);
    append(&path, &lines([3]));
    fs::rename(&path, dir.path().join("log.1")).unwrap();
    append(&path, &lines([4]));
    assert_eq!(second(entries.recv().await), 3);
    assert_eq!(second(entries.recv().await), 4);
    append(&path, &lines([5]));
    end(&live);
    assert_eq!(second(entries.recv().await), 5);
    assert!(entries.recv().await.is_none());
}

#[tokio::test]
async fn following_ends_with_the_time_that_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(&path, lines([1])).unwrap();
    let live = running();
    let options = LogOptions { follow: true, until: Some(Timestamp::now()), ..both() };
    let mut entries = start(&path, options, Some(live.subscribe()));
    assert_eq!(second(entries.recv().await), 1);
    assert!(entries.recv().await.is_none());
}

#[tokio::test]
async fn compressed_files_are_read_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    append(&path, &lines(1..3));
    let live = running();
    let mut entries = start(&path, both(), Some(live.subscribe()));
    assert_eq!((second(entries.recv().await), second(entries.recv().await)), (1, 2));
    // What the reader has open is rotated and compressed, and only the comment says which it was.
    let metadata = fs::metadata(&path).unwrap();
    append(&path, &lines([3]));
    let old = fs::read(&path).unwrap();
    append(&dir.path().join("new"), &lines([4]));
    let gz = fs::File::create(dir.path().join("log.1.gz")).unwrap();
    let comment = format!("{}:{}", metadata.dev(), metadata.ino());
    let mut encoder =
        flate2::GzBuilder::new().comment(comment).write(gz, flate2::Compression::fast());
    encoder.write_all(&old).unwrap();
    encoder.finish().unwrap();
    fs::rename(dir.path().join("new"), &path).unwrap();
    assert_eq!((second(entries.recv().await), second(entries.recv().await)), (3, 4));
    end(&live);
    assert!(entries.recv().await.is_none());
    assert_eq!(all(&path, both()).await, [1, 2, 3, 4]);
    assert_eq!(all(&path, LogOptions { tail: Some(2), ..both() }).await, [3, 4]);
}
