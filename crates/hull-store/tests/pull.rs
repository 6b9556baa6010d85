//! Pulls from a registry that misbehaves.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::fake::{self, Act, Fake, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, blob_path, digest};
use common::{Home, chain, layer};
use hull_store::{Digest, OpenError, PullOptions, Store};
use serde_json::json;

#[tokio::test]
async fn pulls_as_docker_tells() {
    let (fake, home) = (Fake::start().await, Home::new());
    let base = layer(&[("a", b"12345"), ("d/b", &[7; 10_000])]);
    let top = layer(&[("c", b"x")]);
    let manifest = fake.image(Some("latest"), &[&base, &top]);
    let (base_id, top_id) = (Digest::of(&base).short(), Digest::of(&top).short());
    let name = format!("{}/x:latest", fake.address);

    let (pulled, messages) = home.pull_messages(&fake.reference("")).await;
    let pulled = pulled.unwrap();
    assert_eq!(pulled.image.size, 10_006);
    assert_eq!(pulled.digest, digest(&manifest));
    assert_eq!(pulled.image.repo_tags(), [name.as_str()]);
    let by_digest = format!("{}/x@{}", fake.address, pulled.digest);
    assert_eq!(pulled.image.repo_digests(), [by_digest.as_str()]);
    assert_eq!(messages[0], "latest: Pulling from x");
    assert_eq!(messages[1], format!("{base_id}: Pulling fs layer"));
    assert_eq!(messages[2], format!("{top_id}: Pulling fs layer"));
    let end = [
        format!("{base_id}: Pull complete"),
        format!("{top_id}: Pull complete"),
        format!("Digest: {}", pulled.digest),
        format!("Status: Downloaded newer image for {name}"),
    ];
    let ends: Vec<_> = messages.iter().filter(|m| end.contains(m)).collect();
    assert_eq!(ends, end.iter().collect::<Vec<_>>(), "{messages:?}");

    let (_, messages) = home.pull_messages(&fake.reference(":latest")).await;
    let expected = [
        "latest: Pulling from x".to_owned(),
        format!("Digest: {}", pulled.digest),
        format!("Status: Image is up to date for {name}"),
    ];
    assert_eq!(messages, expected);

    // Another image on the same base, and the first one by digest.
    let other = layer(&[("other", b"")]);
    fake.image(Some("other"), &[&base, &other]);
    let (_, messages) = home.pull_messages(&fake.reference(":other")).await;
    assert_eq!(messages[1], format!("{base_id}: Already exists"));
    assert!(!messages.contains(&format!("{base_id}: Pull complete")));
    let reference = by_digest.parse().unwrap();
    assert!(!home.pull(&reference).await.unwrap().newer);

    // The next daemon knows all of it.
    let home = home.reopen();
    assert_eq!(home.store.images().len(), 2);
    let image = home.store.image(&name).unwrap();
    assert_eq!(image.id, pulled.image.id);
    assert_eq!(image.config.config.cmd.as_deref(), Some(&["sh".to_owned()][..]));
    assert_eq!(home.counts(), [2 + 2 + 3, 3, 2, 0]);
}

#[tokio::test]
async fn compressed_layers() {
    let (fake, home) = (Fake::start().await, Home::new());
    let tar = layer(&[("file", &[1; 100_000])]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&tar[..], 3).unwrap();
    for (tag, bytes, suffix) in [("gzip", gzip, "+gzip"), ("zstd", zstd, "+zstd")] {
        let blob = fake.blob(&format!("{OCI_LAYER}{suffix}"), bytes);
        fake.image_of(Some(tag), &[blob], &[Digest::of(&tar)]);
        let pulled = home.pull(&fake.reference(&format!(":{tag}"))).await.unwrap();
        assert_eq!(pulled.image.diff_ids, [Digest::of(&tar)]);
        assert_eq!(pulled.image.size, 100_000);
        // Converted by each of them.
        home.store.remove(&pulled.image.id.to_string(), FORCE, &[]).await.unwrap();
        assert_eq!(home.counts(), [0; 4]);
    }
}

const FORCE: hull_store::RemoveOptions = hull_store::RemoveOptions { force: true, no_prune: false };

#[tokio::test]
async fn what_is_wrong_leaves_nothing() {
    let fake = Fake::start().await;
    let tar = layer(&[("file", &[3; 50_000])]);
    let good = fake.blob(OCI_LAYER, tar.clone());
    let path = blob_path(&digest(&good));
    fake.image(Some("latest"), &[&tar]);
    let mut damaged = tar.clone();
    damaged[600] ^= 1;

    for (act, words) in [
        (Act::Send(damaged.into()), "filesystem layer verification failed for digest"),
        (Act::Send(tar[..9000].to_vec().into()), "wrong size"),
        (Act::Cut(100), "unexpected EOF"),
        (Act::HangAfter(20_000), "no data received"),
        (Act::Hang, "Client.Timeout exceeded"),
        (Act::Status(500, vec![], String::new()), "500 Internal Server Error"),
        (Act::Status(404, vec![], String::new()), "not found"),
    ] {
        let home = Home::new();
        fake.always(&path, act.clone());
        let error = home.pull(&fake.reference("")).await.unwrap_err();
        assert!(chain(&error).contains(words), "{act:?}: {}", chain(&error));
        let [_, layers, _, temporary] = home.counts();
        assert_eq!((layers, temporary), (0, 0), "{act:?}");
        assert!(home.store.images().is_empty());
        home.store.gc(&BTreeSet::new()).await.unwrap();
        assert_eq!(home.counts(), [0; 4]);
        fake.forget();
        home.pull(&fake.reference("")).await.unwrap();
    }
}

#[tokio::test]
async fn a_damaged_blob_is_fetched_once_more() {
    let (fake, home) = (Fake::start().await, Home::new());
    let tar = layer(&[("file", &[3; 50_000])]);
    fake.image(Some("latest"), &[&tar]);
    let path = blob_path(&Digest::of(&tar));
    let mut damaged = tar.clone();
    damaged[600] ^= 1;
    fake.script(&path, [Act::Send(damaged.clone().into())]);
    home.pull(&fake.reference("")).await.unwrap();
    assert_eq!(fake.seen(&path).len(), 2);

    let home = Home::new();
    fake.forget();
    fake.always(&path, Act::Send(damaged.into()));
    home.pull(&fake.reference("")).await.unwrap_err();
    assert_eq!(fake.seen(&path).len(), 2);
}

#[tokio::test]
async fn images_that_do_not_add_up_are_refused() {
    let (fake, home) = (Fake::start().await, Home::new());
    let tar = layer(&[("file", b"content")]);
    let blob = fake.blob(OCI_LAYER, tar.clone());
    let diff_id = Digest::of(&tar);
    let garbage = vec![0x5a; 5000];
    fake.image_of(Some("diff"), std::slice::from_ref(&blob), &[Digest::of(b"other")]);
    fake.image_of(Some("few"), std::slice::from_ref(&blob), &[]);
    fake.image_of(Some("many"), std::slice::from_ref(&blob), &[diff_id, diff_id]);
    fake.image(Some("garbage"), &[&garbage]);
    let broken_gzip = [&[0x1f, 0x8b, 8, 0][..], &[9; 500]].concat();
    fake.image(Some("gzip"), &[&broken_gzip]);
    let windows = json!({"os": "windows", "architecture": "amd64", "rootfs": {"diff_ids": []}});
    for (tag, config) in [("windows", windows.to_string()), ("json", "{".to_owned())] {
        let config = fake.blob(OCI_CONFIG, config);
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": []});
        fake.manifest(Some(tag), OCI_MANIFEST, &manifest);
    }
    for (tag, words) in [
        ("diff", "wrong diff id"),
        ("few", "layers from manifest don't match image configuration"),
        ("many", "layers from manifest don't match image configuration"),
        ("garbage", "failed to register layer"),
        ("gzip", "failed to register layer"),
        ("windows", "only linux images run here"),
        ("json", "is not valid"),
    ] {
        let error = home.pull(&fake.reference(&format!(":{tag}"))).await.unwrap_err();
        assert!(chain(&error).contains(words), "{tag}: {}", chain(&error));
        let [_, layers, _, temporary] = home.counts();
        assert_eq!((layers, temporary), (0, 0), "{tag}");
    }
    assert!(home.store.images().is_empty());
}

/// A tar with a name that `tar::Builder` refuses to write.
fn layer_named(name: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name);
    header.set_size(0);
    header.set_mode(0o644);
    header.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&header, std::io::empty()).unwrap();
    builder.into_inner().unwrap()
}

#[tokio::test]
async fn hostile_layers_stay_inside() {
    let (fake, home) = (Fake::start().await, Home::new());
    let tar = layer_named(b"../../evil");
    fake.image(Some("latest"), &[&tar]);
    if let Ok(pulled) = home.pull(&fake.reference("")).await {
        home.store.root_disk(&pulled.image).await.unwrap();
    }
    assert!(!home.path("evil").exists() && !home.path("tmp/evil").exists());
    assert_eq!(home.counts()[3], 0);
}

#[tokio::test]
async fn an_image_that_does_not_fit_together_is_not_listed() {
    let (fake, home) = (Fake::start().await, Home::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Link);
    header.set_size(0);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_link(&mut header, "h", "nowhere").unwrap();
    fake.image(Some("latest"), &[&builder.into_inner().unwrap()]);
    let error = home.pull(&fake.reference("")).await.unwrap_err();
    let words = "leads to `nowhere`, which does not exist";
    assert!(chain(&error).contains(words), "{}", chain(&error));
    assert!(home.store.images().is_empty());
    home.store.gc(&BTreeSet::new()).await.unwrap();
    assert_eq!(home.counts(), [0; 4]);
}

#[tokio::test]
async fn pulls_at_once_share_layers() {
    let (fake, home) = (Fake::start().await, Home::new());
    let layers: Vec<_> = (0..6_u8).map(|n| layer(&[("f", &[n; 30_000])])).collect();
    let slices: Vec<_> = layers.iter().map(Vec::as_slice).collect();
    // One of them twice.
    let repeated: Vec<_> = slices.iter().chain([&slices[0]]).copied().collect();
    fake.image(Some("one"), &slices);
    fake.image(Some("two"), &repeated);
    let (one, two) = (fake.reference(":one"), fake.reference(":two"));
    let (a, b, c) = tokio::join!(home.pull(&one), home.pull(&two), home.pull(&one));
    assert_eq!(a.unwrap().image.id, c.unwrap().image.id);
    assert_eq!(b.unwrap().image.diff_ids.len(), 7);
    for tar in &layers {
        assert_eq!(fake.seen(&blob_path(&Digest::of(tar))).len(), 1);
    }
}

#[tokio::test]
async fn a_dropped_pull_leaves_nothing() {
    let (fake, home) = (Fake::start().await, Home::new());
    let layers: Vec<_> = (0..4_u8).map(|n| layer(&[("f", &[n; 30_000])])).collect();
    let slices: Vec<_> = layers.iter().map(Vec::as_slice).collect();
    fake.image(Some("latest"), &slices);
    for tar in &layers {
        fake.always(&blob_path(&Digest::of(tar)), Act::HangAfter(5_000));
    }
    let reference = fake.reference("");
    let pull = home.pull(&reference);
    assert!(tokio::time::timeout(Duration::from_millis(200), pull).await.is_err());
    for _ in 0..200 {
        if home.counts()[3] == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(home.counts()[1..], [0, 0, 0]);
    fake.forget();
    home.pull(&reference).await.unwrap();
}

#[tokio::test]
async fn a_killed_process_leaves_nothing() {
    let (fake, home) = (Fake::start().await, Home::new());
    fake.image(Some("latest"), &[&layer(&[("f", b"x")])]);
    let pulled = home.pull(&fake.reference("")).await.unwrap();
    let counts = home.counts();
    fs::write(home.path("tmp/store/half"), "x").unwrap();
    fs::create_dir(home.path("tmp/store/dir")).unwrap();
    fs::write(home.path("tmp/store/dir/data"), "x").unwrap();
    let orphan = Digest::of(b"orphan").hex();
    fs::write(home.path(format!("blobs/sha256/{orphan}")), "orphan").unwrap();
    fs::create_dir(home.path(format!("layers/{orphan}"))).unwrap();
    let home = home.reopen();
    assert_eq!(home.store.gc(&BTreeSet::new()).await.unwrap(), 6);
    assert_eq!(home.counts(), counts);

    // A layer that lost its data is converted anew, from the blob.
    let data = home.path(format!("layers/{}/data", pulled.image.diff_ids[0].hex()));
    fs::write(&data, "").unwrap();
    let error = home.store.root_disk(&pulled.image).await.unwrap_err();
    assert!(error.to_string().contains("missing or damaged"), "{error}");
    fake.forget();
    home.pull(&fake.reference("")).await.unwrap();
    assert!(fake.seen(&blob_path(&pulled.image.diff_ids[0])).is_empty());
    home.store.root_disk(&pulled.image).await.unwrap();
}

#[tokio::test]
async fn a_store_has_one_owner() {
    let home = Home::new();
    let error = Store::open(home.dir.path(), common::settings()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
}

#[tokio::test]
async fn damaged_lists_are_not_overwritten() {
    let home = Home::new();
    let Home { dir, store } = home;
    drop(store);
    fs::write(dir.path().join("images.json"), "{").unwrap();
    let error = Store::open(dir.path(), common::settings()).unwrap_err();
    assert!(error.to_string().contains("images.json is damaged"), "{error}");
    assert_eq!(fs::read_to_string(dir.path().join("images.json")).unwrap(), "{");
}

#[tokio::test]
async fn root_disks_are_built_once() {
    let (fake, home) = (Fake::start().await, Home::new());
    let base = layer(&[("a", &[1; 5000]), ("b", b"1")]);
    let top = layer(&[(".wh.b", b"")]);
    fake.image(Some("latest"), &[&base, &top]);
    let image = home.pull(&fake.reference("")).await.unwrap().image;
    let (disk, same) = tokio::join!(home.store.root_disk(&image), home.store.root_disk(&image));
    let disk = disk.unwrap();
    assert_eq!(disk, same.unwrap());
    let text = fs::read_to_string(&disk.vmdk).unwrap();
    let dir = disk.vmdk.parent().unwrap();
    let mut sectors = 0;
    for line in text.lines().filter(|line| line.contains(" FLAT ")) {
        let words: Vec<_> = line.split(' ').collect();
        let [_, length, _, file, offset] = words[..] else { panic!("{line}") };
        let (length, offset): (u64, u64) = (length.parse().unwrap(), offset.parse().unwrap());
        sectors += length;
        // A file from its start, or the zeros behind its end.
        let within = if offset == 0 { length } else { offset };
        let size = fs::metadata(dir.join(file.trim_matches('"'))).unwrap().len();
        assert_eq!(size, within * 512, "{line}");
    }
    assert_eq!(sectors * 512, disk.size);

    // Damage is noticed, and mended.
    let meta = dir.join("meta.erofs");
    let mut bytes = fs::read(&meta).unwrap();
    bytes[1024] ^= 1;
    fs::write(&meta, &bytes).unwrap();
    home.store.root_disk(&image).await.unwrap();
    bytes[1024] ^= 1;
    assert_eq!(fs::read(&meta).unwrap(), bytes);

    // A container keeps the disk of an image that is gone.
    let user = hull_store::ImageUser {
        container: "c".repeat(64),
        image: image.id,
        root: Some(disk.id),
        running: false,
    };
    home.store.remove(&image.id.to_string(), FORCE, &[user]).await.unwrap();
    assert!(disk.vmdk.exists());
    assert_eq!(home.counts(), [0, 2, 1, 0]);
    assert!(home.store.gc(&BTreeSet::new()).await.unwrap() > 0);
    assert_eq!(home.counts(), [0; 4]);
}

/// A small file system, unmounted with the value.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let dir = tempfile::TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "hull-test"]).arg(dir.path());
        let done = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if !done {
            println!("skipped: cannot mount a small file system");
        }
        done.then_some(Self(dir))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_leaves_nothing() {
    let Some(small) = Small::mount() else { return };
    let fake = Fake::start().await;
    // Compresses well: either file can be the one that does not fit.
    let tar = layer(&[("big", &vec![7; 3 << 20])]);
    fake.image(Some("plain"), &[&tar]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let blob = fake.blob(&format!("{OCI_LAYER}+gzip"), gzip.finish().unwrap());
    fake.image_of(Some("gzip"), &[blob], &[Digest::of(&tar)]);
    fake.image(Some("fits"), &[&layer(&[("small", b"x")])]);
    let root = small.0.path().join("hull");
    let store = Store::open(&root, common::settings()).unwrap();
    for tag in ["plain", "gzip"] {
        let reference = fake.reference(&format!(":{tag}"));
        let error = store.pull(&reference, PullOptions::default(), |_| {}).await.unwrap_err();
        let text = chain(&error);
        assert!(text.contains("cannot write"), "{text}");
        assert!(text.contains("No space left on device"), "{text}");
        assert_eq!(fs::read_dir(root.join("layers")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(root.join("tmp/store")).unwrap().count(), 0);
    }
    store.gc(&BTreeSet::new()).await.unwrap();
    let reference = fake.reference(":fits");
    store.pull(&reference, PullOptions::default(), |_| {}).await.unwrap();
}

/// The futures go to other threads.
#[test]
fn futures_are_send() {
    fn send<T: Send>(_: &dyn Fn(Store) -> T) {}
    send(&|store: Store| async move {
        let reference = "x".parse().unwrap();
        let _ = store.pull(&reference, PullOptions::default(), |_| {}).await;
        let _ = store.load(tokio::io::empty()).await;
        let image = store.image("x").unwrap();
        let _ = store.root_disk(&image).await;
        let _ = store.remove("x", FORCE, &[]).await;
    });
    let _ = fake::OCI_INDEX;
}
