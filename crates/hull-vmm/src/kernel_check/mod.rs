//! Refuses kernels that cannot boot a guest, with the reason, before a machine hangs on them.

mod configuration;
mod format;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::shape::Arch;

/// What a kernel file says about itself.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct KernelFacts {
    /// Release, for example `6.12.48`; `None` if it is not to be found.
    pub release: Option<String>,
    /// `CONFIG_HZ`; `None` if the kernel's configuration is not in it.
    pub hz: Option<u32>,
    /// What will not work with this kernel, one line each.
    pub warnings: Vec<String>,
}

/// Checks whether the kernel in the file `path` can boot guests of `arch`.
///
/// # Errors
/// [`KernelError`], in words for the user.
pub fn check(path: &Path, arch: Arch) -> Result<KernelFacts, KernelError> {
    let read = |source| KernelError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read)?;
    let metadata = file.metadata().map_err(read)?;
    if !metadata.is_file() {
        return Err(KernelError::Unsuitable {
            path: path.to_owned(),
            reason: "it is not a regular file".to_owned(),
        });
    }
    if metadata.len() > LARGEST {
        return Err(KernelError::Unsuitable {
            path: path.to_owned(),
            reason: format!("it is larger than {} MiB", LARGEST >> 20),
        });
    }
    let mut image = Vec::new();
    file.take(LARGEST).read_to_end(&mut image).map_err(read)?;
    check_image(&image, arch)
        .map_err(|reason| KernelError::Unsuitable { path: path.to_owned(), reason })
}

/// Why a kernel is refused.
#[derive(Debug, Error)]
pub enum KernelError {
    #[error("cannot read the kernel `{}`", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the kernel `{}` cannot be used: {reason}", .path.display())]
    Unsuitable { path: PathBuf, reason: String },
}

fn check_image(image: &[u8], arch: Arch) -> Result<KernelFacts, String> {
    let format = format::recognise(image, arch)?;
    let mut facts =
        KernelFacts { release: format::release(image, format), ..KernelFacts::default() };
    match configuration::extract(image) {
        Some(text) => configuration::judge(&text, arch, format, &mut facts)?,
        None => facts
            .warnings
            .push("its configuration is unknown: it holds none (CONFIG_IKCONFIG)".to_owned()),
    }
    Ok(facts)
}

/// Far beyond any kernel without debugging information.
const LARGEST: u64 = 512 << 20;
