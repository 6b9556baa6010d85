//! The kernel that guests boot.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hull_vmm::accel::Choice;
use hull_vmm::kernel_check::{self, KernelError};
use hull_vmm::qemu::probe::{self, ProbeError, Question};
use hull_vmm::{Arch, Artifact};

use crate::{Engine, Error, Result, host};

/// A guest kernel.
#[derive(Clone, Debug)]
pub struct KernelInfo {
    pub path: PathBuf,
    /// For example `6.12.38`, if the image says.
    pub version: Option<String>,
    /// Docker's name of its architecture, for example `amd64`.
    pub architecture: String,
    /// Bytes.
    pub size: u64,
    /// True if it is not the one that Hull came with.
    pub replaced: bool,
}

impl Engine {
    /// Describes the kernel that new containers get.
    ///
    /// # Errors
    /// There is none, or it cannot be read or used.
    pub async fn kernel(&self) -> Result<KernelInfo> {
        let engine = self.clone();
        blocking(move || engine.describe_kernel()).await
    }

    /// Makes a copy of `binary` the kernel of new containers; `None` goes back to Hull's own.
    /// Containers that run are not disturbed.
    ///
    /// # Errors
    /// The file is no kernel that can work, and why.
    pub async fn set_kernel(&self, binary: Option<&Path>) -> Result<KernelInfo> {
        let engine = self.clone();
        match binary {
            Some(binary) => self.install_kernel(binary).await?,
            None => blocking(move || engine.uninstall_kernel()).await?,
        }
        let engine = self.clone();
        blocking(move || engine.describe_kernel()).await
    }

    /// Returns the path of the kernel that new machines boot.
    pub(crate) fn kernel_path(&self) -> PathBuf {
        let replaced = self.inner.layout.kernel();
        match replaced.exists() {
            true => replaced,
            false => self.inner.settings.lib_dir.join(GUEST_KERNEL),
        }
    }

    /// Refuses a kernel that a container asks for and that cannot work.
    pub(crate) async fn check_kernel_of_container(&self, path: &str) -> Result<()> {
        let path = PathBuf::from(path);
        if !path.is_absolute() {
            return Err(Error::InvalidParameter(format!(
                "the kernel {} is not given by an absolute path",
                path.display()
            )));
        }
        blocking(move || Ok(kernel_check::check(&path, guest_arch()?)?)).await.map(drop)
    }

    fn describe_kernel(&self) -> Result<KernelInfo> {
        let path = self.kernel_path();
        let size = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Unavailable {
                    message: format!("there is no guest kernel at {}", path.display()),
                    hint: "build it with `make kernel`, or set another with \
                           `hull system kernel set --binary PATH`"
                        .into(),
                });
            }
            Err(error) => return Err(Error::file("read", &path)(error)),
        };
        let facts = kernel_check::check(&path, guest_arch()?)?;
        Ok(KernelInfo {
            version: facts.release,
            architecture: host::architecture().to_owned(),
            size,
            replaced: path == self.inner.layout.kernel(),
            path,
        })
    }

    async fn install_kernel(&self, binary: &Path) -> Result<()> {
        let place = self.inner.layout.kernel();
        let copy = place.with_extension("new");
        let installed = self.install_by_copy(binary, &copy, &place).await;
        if installed.is_err() {
            // It may never have come to be.
            fs::remove_file(&copy).ok();
        }
        installed.map_err(|error| match error {
            Error::InvalidParameter(text) => {
                // The user knows the original only.
                let named = binary.display().to_string();
                Error::InvalidParameter(text.replace(&copy.display().to_string(), &named))
            }
            error => error,
        })
    }

    async fn install_by_copy(&self, binary: &Path, copy: &Path, place: &Path) -> Result<()> {
        let (from, to) = (binary.to_owned(), copy.to_owned());
        blocking(move || {
            let directory = to.parent().unwrap_or(&to);
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o700);
            builder.create(directory).map_err(Error::file("make", directory))?;
            fs::copy(&from, &to).map_err(Error::file("copy", &from))?;
            // The copy is checked, not the original: that may change.
            kernel_check::check(&to, guest_arch()?)?;
            let readable = fs::Permissions::from_mode(0o644);
            fs::set_permissions(&to, readable)
                .and_then(|()| File::open(&to)?.sync_all())
                .map_err(Error::file("install", &to))
        })
        .await?;
        // What a file says of itself is not all: a distribution's kernel has its drivers in modules.
        self.try_kernel(copy).await?;
        fs::rename(copy, place).map_err(Error::file("install", place))
    }

    /// Boots `kernel` until the agent in it answers.
    async fn try_kernel(&self, kernel: &Path) -> Result<()> {
        let artifact = |path: &Path| Artifact::at(path).map_err(Error::file("read", path));
        let (kernel, agent) = (artifact(kernel)?, artifact(&self.agent_path())?);
        let question = Question {
            cache: &self.inner.layout.probe_cache(),
            arch: guest_arch()?,
            program: None,
            choice: Choice::Auto,
            kernel: &kernel,
            agent: &agent,
        };
        probe::boots(question).await.map_err(|error| match error {
            ProbeError::Boot { path, reason } => Error::InvalidParameter(format!(
                "the kernel `{}` cannot be used: it does not boot, or has no virtio console built \
                 in: {reason}",
                path.display()
            )),
            error => Error::internal("cannot try the kernel out", error),
        })
    }

    fn uninstall_kernel(&self) -> Result<()> {
        let place = self.inner.layout.kernel();
        match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::file("remove", &place)(error))
            }
            _ => Ok(()),
        }
    }
}

/// Returns the architecture of guests here.
pub(crate) fn guest_arch() -> Result<Arch> {
    Arch::host().ok_or_else(|| {
        Error::NotImplemented(format!(
            "there are no guests for hosts of architecture {}",
            std::env::consts::ARCH
        ))
    })
}

/// Runs what waits for files or machines on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("an operation was interrupted", error))?
}

impl From<KernelError> for Error {
    fn from(error: KernelError) -> Self {
        match error {
            KernelError::Read { path, source } => Error::file("read", path)(source),
            error => Self::InvalidParameter(error.to_string()),
        }
    }
}

/// Hull's own kernel, in its library directory.
const GUEST_KERNEL: &str = "vmlinux";
