//! Converted layers: `layers/<diff_id>/{tree,data,layer.json}`.

use std::fs::{self, File};
use std::io::{BufRead, Write as _};
use std::path::{Path, PathBuf};

use hull_layer::{Compression, InodeId, Kind, Tree, convert, decompress};
use hull_registry::Digest;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::home::{Home, publish_dir};
use crate::{PullError, RootError, StoreError};

/// A layer that is converted and whole, as far as a quick look tells.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layer {
    dir: PathBuf,
    pub(crate) diff_id: Digest,
    pub(crate) info: Info,
}

/// What `layer.json` says.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Info {
    format: u32,
    /// Bytes of `tree`.
    tree_len: u64,
    /// Bytes of `data`.
    pub(crate) data_len: u64,
    /// Sum of the sizes of the files in bytes.
    pub(crate) content: u64,
}

/// A layer that is converted, but not published.
#[derive(Debug)]
pub(crate) struct Fresh {
    dir: TempDir,
    pub(crate) diff_id: Digest,
}

impl Layer {
    /// The layer, if it is there in the present format with files of the right size.
    pub(crate) fn open(home: &Home, diff_id: &Digest) -> Option<Self> {
        let dir = home.layer(diff_id);
        let info: Info = serde_json::from_slice(&fs::read(dir.join("layer.json")).ok()?).ok()?;
        let has = |name, length| fs::metadata(dir.join(name)).is_ok_and(|m| m.len() == length);
        let whole = info.format == hull_layer::FORMAT_VERSION
            && has("tree", info.tree_len)
            && has("data", info.data_len);
        whole.then_some(Self { dir, diff_id: *diff_id, info })
    }

    pub(crate) fn tree(&self) -> Result<Tree, RootError> {
        let path = self.dir.join("tree");
        let bytes = fs::read(&path).map_err(StoreError::of("read", &path))?;
        Tree::decode(&bytes)
            .map_err(|source| RootError::Layer { diff_id: self.diff_id, source: Box::new(source) })
    }
}

impl Fresh {
    /// Converts what `reader` gives, compressed or not.
    pub(crate) fn convert(
        home: &Home,
        mut reader: impl BufRead,
        limits: &hull_layer::Limits,
    ) -> Result<Self, Failure> {
        let dir = home.temp_dir()?;
        let path = |name: &str| dir.path().join(name);
        let mut data = create(&path("data"))?;
        let start = reader.fill_buf().map_err(|error| Failure::Layer(Box::new(error)))?;
        let compression = Compression::detect(start);
        let tar = decompress(reader, compression).map_err(|e| Failure::Layer(Box::new(e)))?;
        let converted = convert(tar, &mut data, limits).map_err(|error| match error {
            hull_layer::ConvertError::Write(source) => {
                Failure::Store(StoreError::of("write", &path("data"))(source))
            }
            error => Failure::Layer(Box::new(error)),
        })?;
        data.sync_all().map_err(StoreError::of("write", &path("data")))?;
        let tree = converted.tree.encode();
        let info = Info {
            format: hull_layer::FORMAT_VERSION,
            tree_len: tree.len() as u64,
            data_len: converted.data_len,
            content: content(&converted.tree),
        };
        write(&path("tree"), &tree)?;
        let text = serde_json::to_vec(&info).map_err(|error| Failure::Layer(Box::new(error)))?;
        write(&path("layer.json"), &text)?;
        Ok(Self { dir, diff_id: Digest::from(converted.diff_id.0) })
    }

    pub(crate) fn publish(self, home: &Home) -> Result<(), StoreError> {
        let path = home.layer(&self.diff_id);
        if path.exists() && Layer::open(home, &self.diff_id).is_none() {
            // Damaged, or of another version.
            let old = home.temp_dir()?;
            fs::rename(&path, old.path().join("old")).map_err(StoreError::of("replace", &path))?;
        }
        publish_dir(self.dir, &path)
    }
}

/// Why a layer is not converted.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The layer is no good.
    Layer(Box<dyn std::error::Error + Send + Sync>),
    /// Its files cannot be written.
    Store(StoreError),
}

impl Failure {
    pub(crate) fn of_blob(self, digest: Digest) -> PullError {
        match self {
            Self::Layer(source) => PullError::Layer { digest, source },
            Self::Store(error) => PullError::Store(error),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn create(path: &Path) -> Result<File, StoreError> {
    File::create_new(path).map_err(StoreError::of("create", path))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = create(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(StoreError::of("write", path))
}

/// What `docker images` counts: the sizes of files and symbolic links, each once.
fn content(tree: &Tree) -> u64 {
    let inodes = (0..u32::try_from(tree.len()).unwrap_or(u32::MAX)).map(|n| tree.inode(InodeId(n)));
    let size = |kind: &Kind| match kind {
        Kind::File(file) => file.size,
        Kind::Symlink(target) => target.len() as u64,
        _ => 0,
    };
    inodes.map(|inode| size(&inode.kind)).sum()
}
