use std::io::Cursor;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::image::{ImageListOptions, ImageRemoveOptions, Removed};
use crate::{ErrorKind, Filters, RemoveOptions};

const FORCE: ImageRemoveOptions = ImageRemoveOptions { force: true, no_prune: false };

/// What `docker save` writes for an image of one layer with one file.
fn archive(name: &str, architecture: &str) -> Vec<u8> {
    let layer = tar(&[("etc/motd", name.as_bytes())]);
    let diff_id: String = Sha256::digest(&layer).iter().map(|byte| format!("{byte:02x}")).collect();
    let config = serde_json::json!({
        "architecture": architecture,
        "os": "linux",
        "created": "2026-01-02T03:04:05Z",
        "config": {
            "Cmd": ["sh"],
            "Env": ["A=1"],
            "Volumes": {"/data": {}},
            "ExposedPorts": {"80/tcp": {}},
            "Labels": {"tier": "front"},
            "StopSignal": "SIGINT",
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{diff_id}")]},
    });
    let manifest = serde_json::json!([
        {"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}
    ]);
    tar(&[
        ("config.json", config.to_string().as_bytes()),
        ("layer.tar", &layer),
        ("manifest.json", manifest.to_string().as_bytes()),
    ])
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

async fn load(engine: &Engine, name: &str) {
    let architecture = crate::host::architecture();
    let archive = Cursor::new(archive(name, architecture));
    assert_eq!(engine.load(archive).await.unwrap(), [name]);
}

async fn make(engine: &Engine, image: &str) -> crate::Result<String> {
    let options = CreateOptions {
        name: None,
        config: ContainerConfig { image: image.into(), ..ContainerConfig::default() },
    };
    Ok(engine.create(options).await?.id)
}

fn roots(world: &World) -> usize {
    let entries = std::fs::read_dir(world.root.path().join("roots")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count()
}

#[tokio::test]
async fn a_container_takes_over_what_its_image_says() {
    let world = World::new();
    let engine = world.open().await;
    load(&engine, "demo:1").await;
    let id = make(&engine, "demo:1").await.unwrap();
    let inspect = engine.inspect(&id, true).await.unwrap();
    let image = engine.image_inspect("demo:1").await.unwrap();
    assert_eq!(inspect.image, image.id);
    assert_eq!(inspect.path, "sh");
    let config = inspect.config;
    assert!(config.env.contains(&"A=1".into()));
    assert!(config.volumes.contains("/data") && config.exposed_ports.contains("80/tcp"));
    assert_eq!(config.stop_signal.as_deref(), Some("SIGINT"));
    assert_eq!(inspect.mounts[0].destination, "/data");
    engine.start(&id).await.unwrap();
    let launch = world.fake.last_launch.lock().unwrap().clone().unwrap();
    let disk = launch["disks"]["image"].as_str().unwrap();
    assert!(std::path::Path::new(disk).is_file(), "{disk}");
    assert_eq!(launch["stop"]["signal"], 2);
}

#[tokio::test]
async fn archives_that_do_not_load_leave_nothing() {
    let world = World::new();
    let engine = world.open().await;
    let mut damaged = archive("demo:1", crate::host::architecture());
    let content = damaged.windows(6).position(|bytes| bytes == b"demo:1");
    damaged[content.unwrap()] ^= 1;
    let failed = engine.load(Cursor::new(damaged)).await;
    let words = failed.unwrap_err().to_string();
    assert!(words.contains("wrong diff id"), "{words}");
    for dir in ["blobs/sha256", "layers", "roots"] {
        let entries = std::fs::read_dir(world.root.path().join(dir)).unwrap();
        assert_eq!(entries.count(), 0, "{dir}");
    }
}

#[tokio::test]
async fn images_that_are_not_here_are_named() {
    let world = World::new();
    let engine = world.open().await;
    let error = make(&engine, "nope").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), "No such image: nope:latest");
    let error = engine.image_remove("nope", FORCE).await.unwrap_err();
    assert_eq!(error.to_string(), "No such image: nope:latest");
}

#[tokio::test]
async fn platforms_are_checked() {
    let world = World::new();
    let engine = world.open().await;
    load(&engine, "demo:1").await;
    let options = CreateOptions {
        name: None,
        config: ContainerConfig {
            image: "demo:1".into(),
            platform: Some("linux/s390x".into()),
            ..ContainerConfig::default()
        },
    };
    let error = engine.create(options).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "image with reference demo:1 was found but does not provide the specified platform \
         (linux/s390x)"
    );
    let foreign = Cursor::new(archive("far:1", "s390x"));
    if engine.load(foreign).await.is_ok() {
        let error = make(&engine, "far:1").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotImplemented);
    }
}

#[tokio::test]
async fn containers_keep_their_image_files_alive() {
    let world = World::new();
    let engine = world.open().await;
    load(&engine, "demo:1").await;
    let id = make(&engine, "demo:1").await.unwrap();
    let short = &id[..12];
    let image = engine.image_inspect("demo:1").await.unwrap().id;
    let error = engine.image_remove("demo:1", ImageRemoveOptions::default()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        format!(
            "conflict: unable to remove repository reference \"demo:1\" (must force) - container \
             {short} is using its referenced image {}",
            &image["sha256:".len()..][..12]
        )
    );
    let removed = engine.image_remove("demo:1", FORCE).await.unwrap();
    assert_eq!(removed[0], Removed::Untagged("demo:1".into()));
    assert!(removed.contains(&Removed::Deleted(image.clone())));
    engine.image_prune(&Filters::default()).await.unwrap();
    drop(engine);
    let engine = world.open().await;
    assert_eq!(roots(&world), 1);
    engine.start(&id).await.unwrap();
    let list = engine.list(crate::ListOptions::default()).await.unwrap();
    assert_eq!(list[0].image, image);
    let force = RemoveOptions { force: true, volumes: true };
    engine.remove(&id, force).await.unwrap();
    assert_eq!(roots(&world), 0);
}

#[tokio::test]
async fn lists_tags_and_filters() {
    let world = World::new();
    let engine = world.open().await;
    let mut events = listen(&engine);
    load(&engine, "demo:1").await;
    engine.image_tag("demo:1", "other").await.unwrap();
    make(&engine, "other").await.unwrap();
    let images = engine.images(ImageListOptions::default()).await.unwrap();
    assert_eq!(images.len(), 1);
    assert_eq!(images[0].tags, ["demo:1", "other:latest"]);
    assert_eq!(images[0].containers, 1);
    for (key, value, tags) in [
        ("reference", "oth*", &["other:latest"][..]),
        ("label", "tier=front", &["demo:1", "other:latest"]),
        ("dangling", "false", &["demo:1", "other:latest"]),
        ("reference", "x", &[]),
    ] {
        let mut filters = Filters::default();
        filters.add(key, value);
        let images = engine.images(ImageListOptions { filters, all: false }).await.unwrap();
        let found: Vec<_> = images.into_iter().flat_map(|image| image.tags).collect();
        assert_eq!(found, tags, "{key}={value}");
    }
    let removed = engine.image_remove("demo:1", ImageRemoveOptions::default()).await.unwrap();
    assert_eq!(removed, [Removed::Untagged("demo:1".into())]);
    assert_eq!(actions(&mut events, "untag").await, ["load", "tag", "create", "create", "untag"]);
}
