//! Processes that are killed in the midst of a pull.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::fake::{Act, Fake, blob_path};
use common::{Home, layer};
use hull_store::{Digest, PullOptions, Store};

const ROOT: &str = "HULL_TEST_ROOT";
const REFERENCE: &str = "HULL_TEST_REFERENCE";

/// Not a test: what is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the tests of this file"]
async fn child() {
    let root = std::env::var_os(ROOT).unwrap();
    let reference = std::env::var(REFERENCE).unwrap().parse().unwrap();
    let store = Store::open(root.as_ref(), common::settings()).unwrap();
    let pulled = store.pull(&reference, PullOptions::default(), |_| {}).await.unwrap();
    store.root_disk(&pulled.image).await.unwrap();
    store.remove(&pulled.image.id.to_string(), Default::default(), &[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_time() {
    let fake = Fake::start().await;
    let layers: Vec<_> = (0..5_u8)
        .map(|n| layer(&[(&format!("f{n}"), &vec![n; 400_000]), ("same", &[n; 10])]))
        .collect();
    let slices: Vec<_> = layers.iter().map(Vec::as_slice).collect();
    fake.image(Some("latest"), &slices);
    // One layer takes its time.
    let slow = blob_path(&Digest::of(&layers[2]));
    let home = Home::new();
    let reference = fake.reference("");
    let Home { dir, store } = home;
    drop(store);
    let mut asked = 0;
    for round in 0..24_u64 {
        asked += fake.seen("/v2/x/manifests/latest").len();
        fake.forget();
        if round % 3 == 0 {
            fake.always(&slow, Act::HangAfter(100_000));
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored"])
            .env(ROOT, dir.path())
            .env(REFERENCE, reference.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(10 + round * 9)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(asked > 5, "killed before they did anything");
    fake.forget();
    let store = Store::open(dir.path(), common::settings()).unwrap();
    let home = Home { dir, store };
    assert_eq!(home.counts()[3], 0);
    let pulled = home.pull(&reference).await.unwrap();
    home.store.root_disk(&pulled.image).await.unwrap();
    home.store.gc(&BTreeSet::new()).await.unwrap();
    assert_eq!(home.counts(), [7, 5, 1, 0]);
    home.store.remove(&reference.to_string(), Default::default(), &[]).await.unwrap();
    assert_eq!(home.counts(), [0; 4]);
}
