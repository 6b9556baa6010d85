//! The client against a registry that misbehaves.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod fake;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fake::{Act, Auth, Fake, OCI_INDEX, OCI_MANIFEST, blob_path, digest};
use hull_registry::{Credentials, Descriptor, Digest, Error, Kind, Platform, Reference, Resolved};
use serde_json::{Value, json};

async fn resolve(fake: &Fake, suffix: &str) -> Result<Resolved, Error> {
    let repository = Fake::client().repository(&fake.reference(suffix), None).await?;
    repository.resolve(&Platform::host()).await
}

async fn download(fake: &Fake, descriptor: &Value) -> Result<Vec<u8>, Error> {
    let repository = Fake::client().repository(&fake.reference(""), None).await?;
    let descriptor: Descriptor = serde_json::from_value(descriptor.clone()).unwrap();
    let mut stream = repository.blob(&descriptor);
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn content(length: usize) -> Bytes {
    (0..length).map(|i| (i * 7 % 251) as u8).collect::<Vec<_>>().into()
}

fn password(password: &str) -> Option<Credentials> {
    let username = "user".to_owned();
    Some(Credentials::Password { username, password: password.to_owned() })
}

#[tokio::test]
async fn resolves_manifests_and_indexes() {
    let fake = Fake::start().await;
    let manifest = fake.image(Some("latest"), &[b"one"]);
    let resolved = resolve(&fake, "").await.unwrap();
    assert_eq!(resolved.digest, digest(&manifest));
    assert_eq!(resolved.manifest.layers.len(), 1);

    let mut entry = manifest.clone();
    entry["platform"] = json!(Platform::host());
    let mut attestation = fake.manifest(None, OCI_MANIFEST, &json!({}));
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let inner = json!({"schemaVersion": 2, "manifests": [attestation, entry]});
    let inner = fake.manifest(None, OCI_INDEX, &inner);
    let outer = json!({"schemaVersion": 2, "manifests": [inner]});
    let outer = fake.manifest(Some("multi"), OCI_INDEX, &outer);
    let resolved = resolve(&fake, ":multi").await.unwrap();
    assert_eq!(resolved.digest, digest(&outer));
    assert_eq!(resolved.manifest_digest, digest(&manifest));
    assert_eq!(resolved.documents.len(), 3);
    let by_digest = resolve(&fake, &format!("@{}", digest(&outer))).await.unwrap();
    assert_eq!(by_digest.manifest_digest, digest(&manifest));

    let repository = Fake::client().repository(&fake.reference(":multi"), None).await.unwrap();
    let error = repository.resolve(&"linux/s390x".parse().unwrap()).await.unwrap_err();
    let message = "no matching manifest for linux/s390x in the manifest list entries";
    assert_eq!(error.to_string(), message);
    assert_eq!(error.kind(), Kind::NotFound);
}

#[tokio::test]
async fn says_what_docker_says() {
    let fake = Fake::start().await;
    let address = fake.address;
    let error = resolve(&fake, ":nope").await.unwrap_err();
    let message =
        format!("manifest for {address}/x:nope not found: manifest unknown: manifest unknown");
    assert_eq!(error.to_string(), message);

    let denied =
        r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
    for (status, headers, body, expected) in [
        (
            403,
            vec![],
            denied,
            format!(
                "pull access denied for {address}/x, repository does not exist or may require 'docker \
             login': denied: requested access to the resource is denied"
            ),
        ),
        (
            404,
            vec![],
            r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}"#,
            format!(
                "repository {address}/x not found: name unknown: repository name not known to registry"
            ),
        ),
        (
            404,
            vec![],
            "nope",
            format!("manifest for {address}/x:bad not found: manifest unknown: manifest unknown"),
        ),
        (400, vec![], "", "received unexpected HTTP status: 400 Bad Request".to_owned()),
        (
            429,
            vec![("retry-after", "86400".to_owned())],
            "",
            "toomanyrequests: too many requests".to_owned(),
        ),
    ] {
        let act = Act::Status(status, headers, body.to_owned());
        fake.always("/v2/x/manifests/bad", act);
        assert_eq!(resolve(&fake, ":bad").await.unwrap_err().to_string(), expected);
    }

    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let reference: Reference = format!("127.0.0.1:{port}/x").parse().unwrap();
    let error = Fake::client().repository(&reference, None).await.unwrap_err();
    let message = format!(
        "Get \"http://127.0.0.1:{port}/v2/\": dial tcp 127.0.0.1:{port}: connect: connection refused"
    );
    assert_eq!(error.to_string(), message);
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[tokio::test]
async fn verifies_digests_of_manifests() {
    let fake = Fake::start().await;
    let right = fake.image(Some("latest"), &[b"one"]);
    let path = format!("/v2/x/manifests/{}", digest(&right));
    fake.serve(&path, OCI_MANIFEST, "{}");
    let error = resolve(&fake, &format!("@{}", digest(&right))).await.unwrap_err();
    let message = format!("manifest verification failed for digest {}", digest(&right));
    assert_eq!(error.to_string(), message);

    let header = ("docker-content-digest", Digest::of(b"other").to_string());
    fake.always("/v2/x/manifests/latest", Act::Status(200, vec![header], "{}".to_owned()));
    let error = resolve(&fake, "").await.unwrap_err();
    assert!(matches!(error, Error::ManifestDigest { .. }), "{error}");
}

#[tokio::test]
async fn bombs_are_refused() {
    let fake = Fake::start().await;
    // An index that contains another, and so on.
    let mut entry = fake.image(None, &[b"one"]);
    for depth in 0..20 {
        let tag = format!("deep{depth}");
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        entry = fake.manifest(Some(&tag), OCI_INDEX, &index);
    }
    assert!(resolve(&fake, ":deep2").await.is_ok());
    let error = resolve(&fake, ":deep19").await.unwrap_err();
    assert!(matches!(error, Error::Depth { .. }), "{error}");

    // One that never leads to an image, in many ways.
    let leaf = fake.manifest(None, OCI_INDEX, &json!({"schemaVersion": 2, "manifests": []}));
    let wide = json!({"schemaVersion": 2, "manifests": vec![leaf; 900]});
    fake.manifest(Some("wide"), OCI_INDEX, &wide);
    assert!(resolve(&fake, ":wide").await.is_err());

    let huge = format!("{{\"x\":\"{}\"}}", "a".repeat(5 << 20));
    fake.serve("/v2/x/manifests/huge", OCI_MANIFEST, huge.clone());
    let error = resolve(&fake, ":huge").await.unwrap_err();
    assert!(error.to_string().contains("larger than 4194304 bytes"), "{error}");
    fake.script("/v2/x/manifests/chunked", [Act::Send(huge.into())]);
    assert!(resolve(&fake, ":chunked").await.is_err());

    let layer = fake.blob(fake::OCI_LAYER, "x");
    fake.image_of(Some("layers"), &vec![layer; 1000], &[]);
    let error = resolve(&fake, ":layers").await.unwrap_err();
    assert!(error.to_string().contains("max depth exceeded"), "{error}");

    fake.serve("/v2/x/manifests/odd", "application/x-odd", "{}");
    let error = resolve(&fake, ":odd").await.unwrap_err();
    assert!(
        error.to_string().contains("unsupported manifest media type application/x-odd"),
        "{error}"
    );
    let nested = "[".repeat(100_000);
    fake.serve("/v2/x/manifests/nested", OCI_MANIFEST, nested);
    assert!(resolve(&fake, ":nested").await.is_err());

    let mut lying = fake.image(None, &[b"two"]);
    lying["size"] = json!(3);
    fake.manifest(Some("size"), OCI_INDEX, &json!({"schemaVersion": 2, "manifests": [lying]}));
    let error = resolve(&fake, ":size").await.unwrap_err();
    assert!(error.to_string().contains("the manifest list says 3 bytes"), "{error}");
}

#[tokio::test]
async fn tries_again_what_may_pass() {
    let fake = Fake::start().await;
    fake.image(Some("latest"), &[b"one"]);
    let path = "/v2/x/manifests/latest";
    let failing = || Act::Status(500, vec![], String::new());
    fake.script(path, [failing(), failing()]);
    resolve(&fake, "").await.unwrap();

    fake.script(path, [Act::Status(429, vec![("retry-after", "1".into())], String::new())]);
    let start = Instant::now();
    resolve(&fake, "").await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));

    fake.always(path, failing());
    let error = resolve(&fake, "").await.unwrap_err();
    assert_eq!(error.to_string(), "received unexpected HTTP status: 500 Internal Server Error");

    fake.always(path, Act::Hang);
    let start = Instant::now();
    let error = resolve(&fake, "").await.unwrap_err();
    assert!(error.to_string().contains("Client.Timeout exceeded"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_registry_that_says_nothing_is_left() {
    let fake = Fake::start().await;
    fake.always("/v2/", Act::Hang);
    let error = resolve(&fake, "").await.unwrap_err();
    assert!(error.to_string().contains("/v2/\": net/http: request canceled"), "{error}");

    // Not even HTTP: the connection is accepted by the kernel only.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let reference = format!("{}/x", listener.local_addr().unwrap()).parse().unwrap();
    assert!(Fake::client().repository(&reference, None).await.is_err());
}

#[tokio::test]
async fn blobs_go_on_where_they_stopped() {
    let fake = Fake::start().await;
    let bytes = content(300_000);
    let blob = fake.blob(fake::OCI_LAYER, bytes.clone());
    let path = blob_path(&digest(&blob));
    assert_eq!(download(&fake, &blob).await.unwrap(), bytes);

    fake.script(&path, [Act::Cut(100_000), Act::Cut(1), Act::HangAfter(50_000)]);
    assert_eq!(download(&fake, &blob).await.unwrap(), bytes);
    let ranges: Vec<_> = fake.seen(&path).into_iter().filter_map(|s| s.range).collect();
    assert_eq!(ranges, ["bytes=100000-", "bytes=100001-", "bytes=150001-"]);

    // A registry that does not know ranges.
    fake.script(&path, [Act::Cut(100_000), Act::IgnoreRange]);
    assert_eq!(download(&fake, &blob).await.unwrap(), bytes);

    let failing = || Act::Status(503, vec![], String::new());
    fake.script(&path, [failing(), failing()]);
    assert_eq!(download(&fake, &blob).await.unwrap(), bytes);
}

#[tokio::test]
async fn blobs_that_stay_broken_are_errors() {
    let fake = Fake::start().await;
    let bytes = content(10_000);
    let blob = fake.blob(fake::OCI_LAYER, bytes.clone());
    let path = blob_path(&digest(&blob));

    fake.always(&path, Act::Cut(10));
    let error = download(&fake, &blob).await.unwrap_err();
    assert!(error.to_string().contains("unexpected EOF"), "{error}");

    fake.always(&path, Act::HangAfter(10));
    let error = download(&fake, &blob).await.unwrap_err();
    assert!(error.to_string().contains("no data received"), "{error}");

    let mut other = bytes.to_vec();
    other[5] ^= 1;
    for (sent, digest_wrong) in [
        (Bytes::from(other), true),
        (bytes.slice(..9_000), false),
        (content(10_001), false),
        (content(1 << 20), false),
    ] {
        fake.always(&path, Act::Send(sent.clone()));
        let chunked = download(&fake, &blob).await.unwrap_err();
        fake.forget();
        fake.serve(&path, "application/octet-stream", sent);
        let sized = download(&fake, &blob).await.unwrap_err();
        for error in [chunked, sized] {
            match error {
                Error::BlobDigest { .. } => assert!(digest_wrong),
                Error::BlobSize { .. } => assert!(!digest_wrong),
                other => panic!("{other}"),
            }
        }
    }
    let absent = json!({"mediaType": "", "digest": Digest::of(b"absent"), "size": 3});
    let error = download(&fake, &absent).await.unwrap_err();
    assert!(matches!(error, Error::BlobUnknown { .. }), "{error}");

    let foreign = json!({
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": Digest::of(b"absent"), "size": 3, "urls": ["https://elsewhere.example/x"]
    });
    let error = download(&fake, &foreign).await.unwrap_err();
    assert!(error.to_string().contains("foreign layers are not supported"), "{error}");
}

#[tokio::test]
async fn authentication() {
    let fake = Fake::start().await;
    let manifest = fake.image(Some("latest"), &[b"one"]);
    let reference = fake.reference("");
    let address = fake.address;
    let try_as = async |credentials| {
        let repository = Fake::client().repository(&reference, credentials).await?;
        repository.resolve(&Platform::host()).await
    };

    fake.require(Auth::Basic);
    assert_eq!(try_as(password("secret")).await.unwrap().digest, digest(&manifest));
    let error = try_as(password("wrong")).await.unwrap_err();
    assert_eq!(error.to_string(), "unauthorized: authentication required");
    assert_eq!(error.kind(), Kind::Unauthorized);
    let error = try_as(None).await.unwrap_err();
    let message =
        format!("Head \"http://{address}/v2/x/manifests/latest\": no basic auth credentials");
    assert_eq!(error.to_string(), message);

    fake.require(Auth::Bearer);
    for credentials in [
        None,
        password("secret"),
        Some(Credentials::IdentityToken("identity".into())),
        Some(Credentials::RegistryToken("good".into())),
    ] {
        assert_eq!(try_as(credentials).await.unwrap().digest, digest(&manifest));
    }
    let asked = &fake.seen("/token")[0];
    assert_eq!(asked.query, "scope=repository%3Ax%3Apull&service=fake");
    let error = try_as(password("wrong")).await.unwrap_err();
    let message = format!(
        "Head \"http://{address}/v2/x/manifests/latest\": unauthorized: incorrect username or password"
    );
    assert_eq!(error.to_string(), message);

    // Tokens are kept, and replaced when they are not taken any more.
    fake.forget();
    let client = Fake::client();
    for _ in 0..3 {
        let repository = client.repository(&reference, None).await.unwrap();
        repository.resolve(&Platform::host()).await.unwrap();
    }
    assert_eq!(fake.seen("/token").len(), 1);
    fake.script("/token", [Act::Status(200, vec![], r#"{"access_token":"stale"}"#.into())]);
    let repository = Fake::client().repository(&reference, None).await.unwrap();
    repository.resolve(&Platform::host()).await.unwrap();
    assert_eq!(fake.seen("/token").len(), 3);
}

#[tokio::test]
async fn redirects_never_carry_credentials_elsewhere() {
    let (fake, other) = (Fake::start().await, Fake::start().await);
    let bytes = content(1000);
    let blob = fake.blob(fake::OCI_LAYER, bytes.clone());
    let path = blob_path(&digest(&blob));
    other.serve("/storage", "application/octet-stream", bytes.clone());
    fake.require(Auth::Basic);
    let download = async |to: &str| {
        fake.always(&path, Act::Redirect(to.to_owned()));
        let repository =
            Fake::client().repository(&fake.reference(""), password("secret")).await.unwrap();
        repository.blob_bytes(&serde_json::from_value(blob.clone()).unwrap()).await
    };
    let elsewhere = format!("http://{}/storage?signature=x", other.address);
    assert_eq!(download(&elsewhere).await.unwrap(), bytes);
    assert_eq!(other.seen("/storage")[0].authorization, None);
    assert!(fake.seen(&path)[0].authorization.is_some());

    fake.serve("/v2/own", "application/octet-stream", bytes.clone());
    assert_eq!(download("/v2/own").await.unwrap(), bytes);
    assert!(fake.seen("/v2/own")[0].authorization.is_some());

    for to in ["http://storage.example/x", "file:///etc/passwd", "ftp://x/y"] {
        let error = download(to).await.unwrap_err();
        assert!(error.to_string().contains("refusing a redirect"), "{error}");
    }
    let error = download(&path).await.unwrap_err();
    assert!(error.to_string().contains("stopped after 10 redirects"), "{error}");
}
