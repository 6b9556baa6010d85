//! Names, IDs and removal as Docker has them; archives.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use std::io::Write as _;

use common::fake::{Fake, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use common::{Home, chain, layer};
use hull_store::{Digest, ImageUser, LookupError, RemoveOptions, Removed, TagError};
use serde_json::{Value, json};

const PLAIN: RemoveOptions = RemoveOptions { force: false, no_prune: false };
const FORCE: RemoveOptions = RemoveOptions { force: true, no_prune: false };

fn user(image: Digest, running: bool) -> ImageUser {
    ImageUser { container: "abcdef0123456789".repeat(4), image, root: None, running }
}

fn untagged(name: impl Into<String>) -> Removed {
    Removed::Untagged(name.into())
}

#[tokio::test]
async fn images_are_found_by_name_and_id() {
    let (fake, home) = (Fake::start().await, Home::new());
    fake.image(Some("latest"), &[&layer(&[("f", b"x")])]);
    let pulled = home.pull(&fake.reference("")).await.unwrap();
    let id = pulled.image.id;
    home.store.tag(&id.short(), &"foo".parse().unwrap()).unwrap();
    home.store.tag("foo", &"bar/baz:1".parse().unwrap()).unwrap();
    for name in [
        "foo".to_owned(),
        "foo:latest".to_owned(),
        "docker.io/library/foo".to_owned(),
        "bar/baz:1".to_owned(),
        format!("{}/x", fake.address),
        format!("{}/x:ignored@{}", fake.address, pulled.digest),
        id.to_string(),
        id.hex(),
        id.short(),
        id.hex()[..1].to_owned(),
        format!("sha256:{}", id.short()),
    ] {
        assert_eq!(home.store.image(&name).unwrap().id, id, "{name}");
    }
    let absent = Digest::of(b"absent");
    for (name, message) in [
        ("nope", "No such image: nope:latest".to_owned()),
        ("foo:2", "No such image: foo:2".to_owned()),
        ("ghcr.io/foo", "No such image: ghcr.io/foo:latest".to_owned()),
        (&absent.to_string(), format!("No such image: {absent}")),
        ("Foo", "invalid reference format: repository name must be lowercase".to_owned()),
        ("a b", "invalid reference format".to_owned()),
    ] {
        assert_eq!(home.store.image(name).unwrap_err().to_string(), message);
    }
    let by_digest = format!("foo@{absent}").parse().unwrap();
    assert!(matches!(home.store.tag("foo", &by_digest), Err(TagError::Digest)));
    let error = home.store.tag("nope", &"x".parse().unwrap()).unwrap_err();
    assert!(matches!(error, TagError::Lookup(LookupError::NotFound(_))));
}

#[tokio::test]
async fn a_name_moves_to_the_image_it_is_given_to() {
    let (fake, home) = (Fake::start().await, Home::new());
    fake.image(Some("latest"), &[&layer(&[("f", b"1")])]);
    let old = home.pull(&fake.reference("")).await.unwrap().image;
    fake.image(Some("latest"), &[&layer(&[("f", b"2")])]);
    let pulled = home.pull(&fake.reference("")).await.unwrap();
    assert!(pulled.newer);
    let old = home.store.image(&old.id.to_string()).unwrap();
    assert!(old.is_dangling() && old.repo_digests().len() == 1);
    assert_eq!(pulled.image.repo_tags().len(), 1);
}

#[tokio::test]
async fn names_go_before_images() {
    let (fake, home) = (Fake::start().await, Home::new());
    let (base, top) = (layer(&[("f", b"1")]), layer(&[("g", b"2")]));
    fake.image(Some("latest"), &[&base, &top]);
    fake.image(Some("base"), &[&base]);
    let shared = home.pull(&fake.reference(":base")).await.unwrap().image;
    let pulled = home.pull(&fake.reference("")).await.unwrap();
    let id = pulled.image.id;
    let name = format!("{}/x:latest", fake.address);
    let by_digest = format!("{}/x@{}", fake.address, pulled.digest);
    home.store.tag(&name, &"foo".parse().unwrap()).unwrap();

    let error = home.store.remove(&id.short(), PLAIN, &[]).await.unwrap_err().to_string();
    let short = id.short();
    assert_eq!(
        error,
        format!(
            "conflict: unable to delete {short} (must be forced) - image is referenced in multiple \
             repositories"
        )
    );
    let removed = home.store.remove("foo", PLAIN, &[user(id, true)]).await.unwrap();
    assert_eq!(removed, [untagged("foo:latest")]);

    for (users, given, options, message) in [
        (
            user(id, false),
            name.as_str(),
            PLAIN,
            format!(
                "conflict: unable to remove repository reference \"{name}\" (must force) - \
                 container abcdef012345 is using its referenced image {short}"
            ),
        ),
        (
            user(id, false),
            short.as_str(),
            PLAIN,
            format!(
                "conflict: unable to delete {short} (must be forced) - image is being used by \
                 stopped container abcdef012345"
            ),
        ),
        (
            user(id, true),
            short.as_str(),
            FORCE,
            format!(
                "conflict: unable to delete {short} (cannot be forced) - image is being used by \
                 running container abcdef012345"
            ),
        ),
    ] {
        let error = home.store.remove(given, options, &[users]).await.unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    // Forced off its name, the image of a running container stays.
    home.store.tag(&name, &"kept".parse().unwrap()).unwrap();
    let removed = home.store.remove("kept", FORCE, &[user(id, true)]).await.unwrap();
    assert_eq!(removed, [untagged("kept:latest")]);

    let chain = {
        let text = format!("{} {}", Digest::of(&base), Digest::of(&top));
        Digest::of(text.as_bytes())
    };
    let removed = home.store.remove(&name, PLAIN, &[]).await.unwrap();
    let expected =
        [untagged(name), untagged(by_digest), Removed::Deleted(id), Removed::Deleted(chain)];
    assert_eq!(removed, expected);
    assert_eq!(home.store.images().len(), 1);
    home.store.root_disk(&shared).await.unwrap();
    assert_eq!(home.counts(), [3, 1, 1, 0]);

    let removed = home.store.remove(&shared.id.hex(), PLAIN, &[]).await.unwrap();
    assert_eq!(removed.len(), 4, "{removed:?}");
    assert_eq!(home.counts(), [0; 4]);
    let error = home.store.remove("foo", FORCE, &[]).await.unwrap_err();
    assert_eq!(error.to_string(), "No such image: foo:latest");
}

/// A tar of members.
fn archive(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let members: Vec<_> = members.iter().map(|(name, content)| (*name, &content[..])).collect();
    layer(&members)
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
    json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": diff_ids}})
        .to_string()
        .into_bytes()
}

fn saved(tags: &Value) -> Vec<u8> {
    let tar = layer(&[("f", b"1")]);
    let manifest = json!([{"Config": "c.json", "RepoTags": tags, "Layers": ["l/layer.tar"]}]);
    archive(&[
        ("l/layer.tar", tar.clone()),
        ("c.json", config(&[&tar])),
        ("manifest.json", manifest.to_string().into_bytes()),
    ])
}

async fn load(home: &Home, archive: Vec<u8>) -> Result<Vec<hull_store::Loaded>, String> {
    let loaded = home.store.load(std::io::Cursor::new(archive)).await;
    loaded.map_err(|error| chain(&error))
}

#[tokio::test]
async fn loads_what_docker_saves() {
    let home = Home::new();
    let plain = saved(&json!(["foo:1", "ghcr.io/bar"]));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    for bytes in [plain, gzip.finish().unwrap(), saved(&json!(null))] {
        let loaded = load(&home, bytes).await.unwrap();
        assert_eq!(loaded[0].image.repo_tags(), ["foo:1", "ghcr.io/bar:latest"]);
        assert_eq!(loaded[0].image.size, 1);
        home.store.root_disk(&loaded[0].image).await.unwrap();
    }
    assert_eq!(home.counts(), [2, 1, 1, 0]);
}

#[tokio::test]
async fn loads_oci_layouts() {
    let home = Home::new();
    let tar = layer(&[("f", b"1")]);
    let blob = zstd::encode_all(&tar[..], 1).unwrap();
    let config = config(&[&tar]);
    let descriptor = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()});
    let manifest = json!({
        "schemaVersion": 2, "config": descriptor(OCI_CONFIG, &config),
        "layers": [descriptor(&format!("{OCI_LAYER}+zstd"), &blob)]
    });
    let manifest = manifest.to_string().into_bytes();
    let mut entry = descriptor(OCI_MANIFEST, &manifest);
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "demo:1"});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string().into_bytes();
    let name = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::of(bytes).hex());
    let members = [
        (name(&config), config.clone()),
        (name(&manifest), manifest.clone()),
        (name(&blob), blob.clone()),
        ("index.json".to_owned(), index),
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
    ];
    let build = |members: &[(String, Vec<u8>)]| {
        let members: Vec<_> = members.iter().map(|(n, c)| (n.as_str(), c.clone())).collect();
        archive(&members)
    };
    let loaded = load(&home, build(&members)).await.unwrap();
    assert_eq!(loaded[0].image.repo_tags(), ["demo:1"]);
    assert_eq!(loaded[0].image.manifest, Some(Digest::of(&manifest)));
    assert_eq!(home.counts(), [3, 1, 1, 0]);

    // What is damaged or missing is told, and leaves nothing.
    for number in 0..3 {
        let home = Home::new();
        let mut damaged = members.clone();
        damaged[number].1[10] ^= 1;
        load(&home, build(&damaged)).await.unwrap_err();
        let mut missing = members.to_vec();
        missing.remove(number);
        let error = load(&home, build(&missing)).await.unwrap_err();
        assert!(error.contains("is missing"), "{error}");
        assert!(home.store.images().is_empty());
        assert_eq!(home.counts(), [0; 4]);
    }
}

#[tokio::test]
async fn archives_that_are_none_are_refused() {
    let home = Home::new();
    let lost = json!([{"Config": "c.json", "Layers": ["../../etc/passwd"]}]).to_string();
    let mut cut = saved(&json!(["foo"]));
    cut.truncate(700);
    for (bytes, words) in [
        (b"not a tar".repeat(100), "not a tar archive"),
        (vec![], "neither `manifest.json` nor `index.json`"),
        (archive(&[("x", vec![1])]), "neither `manifest.json` nor `index.json`"),
        (archive(&[("manifest.json", b"{".to_vec())]), "manifest.json"),
        (archive(&[("manifest.json", lost.clone().into_bytes())]), "`c.json` is missing"),
        (
            archive(&[("manifest.json", lost.into_bytes()), ("c.json", config(&[b""]))]),
            "`../../etc/passwd` is missing",
        ),
        (saved(&json!(["Foo"])), "repository name must be lowercase"),
        (cut, "cannot read the image archive"),
    ] {
        let error = load(&home, bytes).await.unwrap_err();
        assert!(error.contains(words), "{error} does not have {words}");
        assert_eq!(home.counts(), [0; 4]);
    }
}
