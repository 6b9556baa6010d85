//! Images of other producers and TLS, with Debian's `docker-registry`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use common::{Home, layer};
use hull_store::Reference;
use tempfile::TempDir;

/// A registry, stopped with the value.
struct Registry {
    child: Child,
    address: String,
    dir: TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Registry {
    fn start() -> Self {
        Self::start_with(TempDir::new().unwrap(), "")
    }

    fn start_with(dir: TempDir, more: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n\
             http:\n  addr: '127.0.0.1:{port}'\n{more}",
            dir.path().join("storage").display()
        );
        fs::write(dir.path().join("config.yml"), config).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(dir.path().join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self { child, address: format!("127.0.0.1:{port}"), dir };
        for _ in 0..200 {
            if TcpStream::connect(&registry.address).is_ok() {
                return registry;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("docker-registry does not come up");
    }

    /// Pushes an OCI layout's image.
    fn push(&self, layout: &str, name: &str, format: &str) -> Reference {
        let target = format!("docker://{}/{name}", self.address);
        let source = format!("oci:{layout}");
        let arguments =
            ["--insecure-policy", "copy", "-q", "--dest-tls-verify=false", "-f", format];
        run(Command::new("skopeo").args(arguments).args([&source, &target]));
        format!("{}/{name}", self.address).parse().unwrap()
    }
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Whether the tools are here; says which are not.
fn have(tools: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |tool: &&&str| std::env::split_paths(&path).any(|dir| dir.join(tool).exists());
    let missing: Vec<_> = tools.iter().filter(|tool| !found(tool)).collect();
    if !missing.is_empty() {
        println!("skipped: {missing:?} not installed");
    }
    missing.is_empty()
}

/// An OCI layout with an image of two layers made by umoci; the second removes and replaces.
fn layout(dir: &Path) -> String {
    let layout = dir.join("layout").display().to_string();
    let image = format!("{layout}:demo");
    run(Command::new("umoci").args(["init", "--layout", &layout]));
    run(Command::new("umoci").args(["new", "--image", &image]));
    for (number, files) in [
        &[("bin/tool", &[1_u8; 70_000][..]), ("etc/gone", b"x")][..],
        &[("etc/.wh.gone", b""), ("etc/new", b"new")],
    ]
    .into_iter()
    .enumerate()
    {
        let tar = dir.join(format!("{number}.tar"));
        fs::write(&tar, layer(files)).unwrap();
        run(Command::new("umoci").args(["raw", "add-layer", "--image", &image]).arg(&tar));
    }
    let config = ["config", "--image", &image, "--config.cmd", "/bin/tool", "--config.user", "7:8"];
    run(Command::new("umoci").args(config));
    image
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_what_others_pushed() {
    if !have(&["docker-registry", "skopeo", "umoci"]) {
        return;
    }
    let registry = Registry::start();
    let source = layout(registry.dir.path());
    let oci = registry.push(&source, "oci/demo:1", "oci");
    let docker = registry.push(&source, "docker-demo", "v2s2");
    let home = Home::new();
    let pulled = home.pull(&oci).await.unwrap();
    assert_eq!(pulled.image.size, 70_000 + 1 + 3);
    let config = &pulled.image.config.config;
    assert_eq!(config.cmd.as_deref(), Some(&["/bin/tool".to_owned()][..]));
    assert_eq!(config.user, "7:8");
    home.store.root_disk(&pulled.image).await.unwrap();

    // The same layers in Docker's format: nothing comes twice.
    let (other, messages) = home.pull_messages(&docker).await;
    assert_eq!(other.unwrap().image.diff_ids, pulled.image.diff_ids);
    assert!(!messages.iter().any(|message| message.contains("Pulling fs layer")), "{messages:?}");

    let absent: Reference = format!("{}/absent", registry.address).parse().unwrap();
    let error = home.pull(&absent).await.unwrap_err();
    let message =
        format!("manifest for {absent}:latest not found: manifest unknown: manifest unknown");
    assert_eq!(error.to_string(), message);
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_archives_of_skopeo() {
    if !have(&["skopeo", "umoci"]) {
        return;
    }
    let dir = TempDir::new().unwrap();
    let source = format!("oci:{}", layout(dir.path()));
    let mut ids = Vec::new();
    for (kind, name) in [("docker-archive", "demo:1"), ("oci-archive", "demo:1")] {
        let home = Home::new();
        let path = dir.path().join(kind);
        let target = format!("{kind}:{}:{name}", path.display());
        run(Command::new("skopeo").args(["--insecure-policy", "copy", "-q", &source, &target]));
        let file = tokio::fs::File::open(&path).await.unwrap();
        let loaded = home.store.load(file).await.unwrap();
        assert_eq!(loaded[0].image.repo_tags(), [name], "{kind}");
        home.store.root_disk(&loaded[0].image).await.unwrap();
        ids.push(loaded[0].image.diff_ids.clone());
    }
    assert_eq!(ids[0], ids[1]);
}

/// A name of this machine that is not `localhost` and leads to the loopback interface.
fn loopback_name() -> Option<String> {
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let lines = hosts.lines().filter_map(|line| line.strip_prefix("127.0.0.1"));
    let mut names = lines.flat_map(str::split_whitespace);
    names.find(|name| !name.starts_with("localhost") && *name != "ip6-localhost").map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked() {
    if !have(&["docker-registry", "openssl"]) {
        return;
    }
    let Some(name) = loopback_name() else {
        println!("skipped: no name of the loopback interface but localhost");
        return;
    };
    let dir = TempDir::new().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let (key, certificate) = (file("key.pem"), file("cert.pem"));
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-keyout", &key, "-out", &certificate])
        .args(["-subj", "/CN=test", "-addext", &format!("subjectAltName=DNS:{name}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"]));
    let tls = format!("  tls: {{certificate: {certificate}, key: {key}}}\n");
    let registry = Registry::start_with(dir, &tls);
    let port = registry.address.rsplit(':').next().unwrap();

    // Trusted by nobody.
    let home = Home::new();
    let reference: Reference = format!("{name}:{port}/absent").parse().unwrap();
    let error = home.pull(&reference).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("Get \"https://{name}:{port}/v2/\": x509: ")), "{error}");

    // No TLS at all, which only loopback addresses may do without.
    let plain = Registry::start();
    let plain_port = plain.address.rsplit(':').next().unwrap();
    let reference: Reference = format!("{name}:{plain_port}/absent").parse().unwrap();
    let error = home.pull(&reference).await.unwrap_err().to_string();
    let words = "http: server gave HTTP response to HTTPS client";
    assert_eq!(error, format!("Get \"https://{name}:{plain_port}/v2/\": {words}"));

    // Trusted for this registry, and not needed on loopback.
    let trusted = registry.dir.path().join("certs.d").join(format!("{name}:{port}"));
    fs::create_dir_all(&trusted).unwrap();
    fs::copy(&certificate, trusted.join("ca.crt")).unwrap();
    let mut settings = common::settings();
    settings.registry.certificate_dirs = vec![registry.dir.path().join("certs.d")];
    let root = TempDir::new().unwrap();
    let store = hull_store::Store::open(root.path(), settings).unwrap();
    for host in [name.as_str(), "127.0.0.1"] {
        let reference: Reference = format!("{host}:{port}/absent").parse().unwrap();
        let error = store.pull(&reference, Default::default(), |_| {}).await.unwrap_err();
        assert!(error.to_string().contains("manifest unknown"), "{host}: {error}");
    }
}
