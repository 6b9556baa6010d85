use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn normalises_as_docker() {
    for (text, canonical, familiar) in [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("library/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/library/busybox", "docker.io/library/busybox", "busybox"),
        ("foo/bar:x", "docker.io/foo/bar:x", "foo/bar:x"),
        ("library/foo/bar", "docker.io/library/foo/bar", "library/foo/bar"),
        ("ghcr.io/foo/bar", "ghcr.io/foo/bar", "ghcr.io/foo/bar"),
        ("localhost/foo", "localhost/foo", "localhost/foo"),
        ("localhost:5000/foo", "localhost:5000/foo", "localhost:5000/foo"),
        ("127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t"),
        ("[::1]:5000/foo", "[::1]:5000/foo", "[::1]:5000/foo"),
        ("HOST/foo", "HOST/foo", "HOST/foo"),
        ("foo:5000", "docker.io/library/foo:5000", "foo:5000"),
        ("a__b--c.d_e", "docker.io/library/a__b--c.d_e", "a__b--c.d_e"),
        ("x:A_b.c-D", "docker.io/library/x:A_b.c-D", "x:A_b.c-D"),
    ] {
        let reference = Reference::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(reference.to_string(), canonical, "{text}");
        assert_eq!(reference.familiar(), familiar, "{text}");
        assert_eq!(Reference::parse(canonical).unwrap(), reference, "{text}");
    }
}

#[test]
fn digests() {
    let text = format!("busybox:1@sha256:{HEX}");
    let reference = Reference::parse(&text).unwrap();
    assert_eq!(reference.tag(), Some("1"));
    assert_eq!(reference.familiar(), text);
    assert_eq!(reference.tag_or_digest(), format!("sha256:{HEX}"));
    assert_eq!(reference.lookup_key().familiar(), format!("busybox@sha256:{HEX}"));
    assert_eq!(reference.with_default_tag().tag(), Some("1"));
    let untagged = Reference::parse(&format!("busybox@sha256:{HEX}")).unwrap();
    assert_eq!(untagged.clone().with_default_tag(), untagged);
}

#[test]
fn refuses_in_dockers_words() {
    let long = "a".repeat(256);
    let digest_short = "a@sha256:0123456789abcdef0123456789abcdef";
    let sha512 = format!("a@sha512:{HEX}{HEX}");
    for (text, message) in [
        ("", "invalid reference format"),
        (":tag", "invalid reference format"),
        ("Busybox", "invalid reference format: repository name must be lowercase"),
        ("localhost:5000/Foo", "invalid reference format: repository name must be lowercase"),
        ("a//b", "invalid reference format"),
        ("a/", "invalid reference format"),
        ("/a", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a-", "invalid reference format"),
        ("a..b", "invalid reference format"),
        ("a___b", "invalid reference format"),
        ("a:", "invalid reference format"),
        ("a:-x", "invalid reference format"),
        ("a:b:c", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("a@sha256:xyz", "invalid reference format"),
        ("a@", "invalid reference format"),
        ("a\u{e9}", "invalid reference format"),
        ("http://x/y", "invalid reference format"),
        ("host:port/x", "invalid reference format"),
        ("ho_st.x/y", "invalid reference format"),
        (digest_short, "invalid checksum digest length"),
        (&sha512, "unsupported digest algorithm"),
        (&long, "repository name must not be more than 255 characters"),
        (
            HEX,
            "invalid repository name (e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855), \
             cannot specify 64-byte hexadecimal strings",
        ),
    ] {
        assert_eq!(Reference::parse(text).unwrap_err().to_string(), message, "{text}");
    }
}
