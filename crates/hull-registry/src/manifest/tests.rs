use serde_json::json;

use super::*;

fn parse(content_type: &str, body: &serde_json::Value) -> Result<Document, ManifestError> {
    Document::parse(&MediaType::from(content_type), body.to_string().as_bytes())
}

fn descriptor(media_type: &str) -> serde_json::Value {
    json!({"mediaType": media_type, "digest": Digest::of(media_type.as_bytes()), "size": 3})
}

fn manifest() -> serde_json::Value {
    json!({"schemaVersion": 2, "config": descriptor(OCI_CONFIG), "layers": [descriptor(LAYERS[1])]})
}

#[test]
fn reads_both_formats_by_header_or_body() {
    let mut typed = manifest();
    typed["mediaType"] = json!(OCI_MANIFEST);
    for (content_type, body) in [
        (OCI_MANIFEST, manifest()),
        (DOCKER_MANIFEST, manifest()),
        ("application/vnd.oci.image.manifest.v1+json; charset=utf-8", typed.clone()),
        ("application/json", typed.clone()),
        ("", manifest()),
    ] {
        assert!(matches!(parse(content_type, &body), Ok(Document::Manifest(_))), "{content_type}");
    }
    let index = json!({"schemaVersion": 2, "manifests": []});
    for content_type in [OCI_INDEX, DOCKER_LIST, "", "text/plain"] {
        assert!(matches!(parse(content_type, &index), Ok(Document::Index(_))), "{content_type}");
    }
}

#[test]
fn refuses_what_it_does_not_know() {
    let mut both = manifest();
    both["manifests"] = json!([]);
    let mut typed = manifest();
    typed["mediaType"] = json!(OCI_INDEX);
    let mut artifact = manifest();
    artifact["config"] = descriptor("application/vnd.cncf.helm.config.v1+json");
    let mut encrypted = manifest();
    encrypted["layers"] = json!([descriptor("application/vnd.oci.image.layer.v1.tar+encrypted")]);
    let mut deep = manifest();
    deep["layers"] = json!(vec![descriptor(LAYERS[0]); 128]);
    let mut big_config = manifest();
    big_config["config"]["size"] = json!(1_u64 << 40);
    let mut negative = manifest();
    negative["layers"][0]["size"] = json!(-1);
    for (content_type, body, part) in [
        (OCI_MANIFEST, both, "both a manifest and a manifest list"),
        (OCI_MANIFEST, typed, "media type in manifest should be"),
        (OCI_MANIFEST, artifact, "vnd.cncf.helm.config.v1+json"),
        (OCI_MANIFEST, encrypted, "tar+encrypted"),
        (OCI_MANIFEST, deep, "max depth exceeded"),
        (OCI_MANIFEST, big_config, "larger than"),
        (OCI_MANIFEST, negative, "-1"),
        (OCI_MANIFEST, json!({"schemaVersion": 2}), "`config` is missing"),
        (OCI_INDEX, json!({"schemaVersion": 2}), "`manifests` is missing"),
        ("application/x-foo", manifest(), "application/x-foo"),
        ("", json!({"schemaVersion": 1, "fsLayers": []}), "schema 1"),
        ("application/json", json!({}), "unsupported manifest media type application/json"),
        (OCI_MANIFEST, json!([]), "invalid"),
    ] {
        let error = parse(content_type, &body).unwrap_err().to_string();
        assert!(error.contains(part), "{error} does not have {part}");
    }
    let huge = vec![b' '; MAX_MANIFEST + 1];
    assert_eq!(Document::parse(&OCI_INDEX.into(), &huge), Err(ManifestError::Size));
}

#[test]
fn chooses_the_platform_and_never_attestations() {
    let entry = |name: &str, platform: serde_json::Value| {
        let mut entry = descriptor(OCI_MANIFEST);
        entry["digest"] = json!(Digest::of(name.as_bytes()));
        entry["platform"] = platform;
        entry
    };
    let body = json!({"schemaVersion": 2, "manifests": [
        entry("attestation", json!({"os": "unknown", "architecture": "unknown"})),
        entry("i386", json!({"os": "linux", "architecture": "386"})),
        entry("none", json!(null)),
        entry("amd64", json!({"os": "linux", "architecture": "amd64"})),
        entry("arm64", json!({"os": "linux", "architecture": "arm64", "variant": "v8"})),
    ]});
    let Ok(Document::Index(index)) = parse(OCI_INDEX, &body) else { panic!() };
    let names = |platform: &str| {
        let found = index.matching(&platform.parse().unwrap());
        found.iter().map(|d| d.digest).collect::<Vec<_>>()
    };
    let digest = |name: &str| Digest::of(name.as_bytes());
    assert_eq!(names("linux/amd64"), [digest("amd64"), digest("i386"), digest("none")]);
    assert_eq!(names("linux/arm64"), [digest("arm64"), digest("none")]);
    assert_eq!(names("linux/s390x"), [digest("none")]);
}
