//! The images that `build-images` makes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::command::run;

/// An image of the test set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Image {
    Buildah,
    Busybox,
    Debian,
    Nasty,
    Python,
    Redis,
    Services,
}

impl Image {
    /// Returns the image's name in the layout and in the registry.
    pub fn name(self) -> &'static str {
        match self {
            Self::Buildah => "buildah",
            Self::Busybox => "busybox",
            Self::Debian => "debian",
            Self::Nasty => "nasty",
            Self::Python => "python",
            Self::Redis => "redis",
            Self::Services => "services",
        }
    }
}

/// Writes `image` into `dir` as `docker save` would, and returns the file's path: `load` takes it.
pub fn archive(image: Image, dir: &Path) -> PathBuf {
    let path = dir.join(image.name()).with_extension("tar");
    let source = format!("oci:{}:{}", layout().display(), image.name());
    let target = format!("docker-archive:{}:{}:latest", path.display(), image.name());
    let mut command = Command::new("skopeo");
    command.args(["--insecure-policy", "copy", "-q", &source, &target]);
    run(&mut command, Duration::from_secs(300)).success();
    path
}

/// Returns the OCI layout with all images; builds it if the cache has none.
pub fn layout() -> &'static Path {
    static LAYOUT: OnceLock<PathBuf> = OnceLock::new();
    LAYOUT.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("build-images");
        run(&mut Command::new(script), Duration::from_secs(1200)).success().into()
    })
}
