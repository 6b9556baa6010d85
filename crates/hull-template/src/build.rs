//! Makes templates.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hull_guest::{ConnectError, Guest, RequestError};
use hull_protocol::{Event, Hello, Prepare, Request};
use hull_vmm::{BootError, Configuration, Disk, Disks, Machine, SaveError, Shape, Slot, Vmm};
use jiff::Timestamp;
use serde_json::value::RawValue;
use thiserror::Error;
use tokio::io::AsyncReadExt as _;
use tokio::time::{sleep, timeout};

use crate::image;
use crate::key::Key;
use crate::manifest::{self, BOOT_LOG, FORMAT, MEMORY, Manifest, REHEARSAL, SCRATCH, STATE};
use crate::scratch;
use crate::store::Templates;
use crate::template::{Damage, Template};

/// What a template is made from.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    pub shape: &'a Shape,
    /// OCI runtime specification of a container with nothing special.
    pub spec: &'a RawValue,
}

/// A template that was asked for.
#[derive(Debug)]
pub struct Obtained {
    pub template: Template,
    /// It was built now.
    pub is_new: bool,
}

/// Why there is no template.
#[derive(Debug, Error)]
pub enum BuildError {
    #[error("the template's machine does not start")]
    Boot(#[from] BootError),
    #[error("the template's machine ended: {0}")]
    Ended(String),
    #[error("cannot write the template `{}`", .path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("a template needs {} MiB in `{}`, and {} MiB are free", NEEDED >> 20, .path.display(), .free >> 20)]
    Full { path: PathBuf, free: u64 },
    #[error("the template's guest does not answer")]
    Guest(#[from] ConnectError),
    #[error("the template's guest cannot be made ready")]
    Prepare(#[source] RequestError),
    #[error("the template's guest was not ready within {0:?}")]
    Slow(Duration),
    #[error("the template's machine cannot be saved")]
    Save(#[from] SaveError),
    #[error("the new template cannot be used")]
    Unusable(#[from] Damage),
}

impl Templates {
    /// Returns the template for `recipe`, and builds it if there is none that can be used. Several
    /// processes that need the same one build it once: the others wait.
    ///
    /// Must be called from a thread that lives until it returns; cancelling it ends the build.
    ///
    /// # Errors
    /// [`BuildError`]; nothing of the attempt is left then.
    pub async fn obtain<V: Vmm>(
        &self,
        vmm: &V,
        recipe: Recipe<'_>,
    ) -> Result<Obtained, BuildError> {
        let key = Key::of(recipe.shape, recipe.spec);
        if let Ok(Some(template)) = self.open(&key) {
            template.touch();
            return Ok(Obtained { template, is_new: false });
        }
        let fail = |source| BuildError::File { path: self.path(&key), source };
        self.prepare().map_err(fail)?;
        let _lock = loop {
            if let Some(lock) = self.try_lock(&key).map_err(fail)? {
                break lock;
            }
            sleep(POLL).await;
        };
        if let Ok(Some(template)) = self.open(&key) {
            template.touch();
            return Ok(Obtained { template, is_new: false });
        }
        let template = self.build(vmm, recipe, &key).await?;
        template.touch();
        // The new one is of use even if the disk is fuller than it should be.
        let _ = self.evict(Some(&key));
        Ok(Obtained { template, is_new: true })
    }

    async fn build<V: Vmm>(
        &self,
        vmm: &V,
        recipe: Recipe<'_>,
        key: &Key,
    ) -> Result<Template, BuildError> {
        let site = Site(self.building(key));
        let fail = |source| BuildError::File { path: self.path(key), source };
        site.clear().map_err(fail)?;
        // A VMM whose memory file finds no room dies without a word.
        let free = rustix::fs::statvfs(&self.dir).map_err(|errno| fail(errno.into()))?;
        let free = free.f_bavail.saturating_mul(free.f_frsize);
        if free < NEEDED {
            return Err(BuildError::Full { path: self.dir.clone(), free });
        }
        fs::DirBuilder::new().mode(0o700).create(&site.0).map_err(fail)?;
        let kernel = make(vmm, recipe, &site.0).await?;
        describe(recipe, key, &site.0, kernel).map_err(fail)?;
        // What is in the way was found unusable, or nobody could have got here.
        self.remove(key).map_err(fail)?;
        fs::rename(&site.0, self.path(key)).map_err(fail)?;
        self.open(key)?.ok_or_else(|| fail(io::ErrorKind::NotFound.into()))
    }
}

/// Where a template is being built; gone when the build is over, however it ends.
struct Site(PathBuf);

impl Site {
    fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The next build clears it if this cannot.
        let _ = self.clear();
    }
}

/// Boots a machine, has its guest make itself ready, and saves it. Returns the guest's kernel.
async fn make<V: Vmm>(
    vmm: &V,
    recipe: Recipe<'_>,
    dir: &Path,
) -> Result<Option<String>, BuildError> {
    let file = |path: PathBuf| move |source| BuildError::File { path, source };
    let scratch = dir.join(SCRATCH);
    scratch::format(&scratch).map_err(file(scratch.clone()))?;
    let image = dir.join(REHEARSAL);
    image::write(&image).map_err(file(image))?;
    let configuration = Configuration {
        name: "hull-template".to_owned(),
        working_dir: dir.to_owned(),
        disks: Disks {
            scratch: match recipe.shape.devices.has(Slot::Scratch) {
                true => Disk::at(&scratch),
                false => Disk::Placeholder,
            },
            ..Disks::default()
        },
    };
    let memory = dir.join(MEMORY);
    let mut machine = vmm.boot_template(recipe.shape, configuration, &memory).await?;
    let console = machine.take_console();
    let drain = async {
        if let Some(mut console) = console {
            let mut sink = [0; 4096];
            while console.read(&mut sink).await.is_ok_and(|read| read > 0) {}
        }
        std::future::pending().await
    };
    let saved = tokio::select! {
        saved = ready(&mut machine, recipe) => saved,
        never = drain => never,
    };
    machine.kill();
    machine.wait().await;
    let Ready { hello, log, state } = saved?;
    for (name, content) in [(STATE, state.as_slice()), (BOOT_LOG, log.as_bytes())] {
        let path = dir.join(name);
        fs::write(&path, content).map_err(file(path))?;
    }
    Ok(hello.kernel)
}

/// A machine that was saved when its guest was ready.
struct Ready {
    hello: Hello,
    /// What the kernel had logged.
    log: String,
    state: Vec<u8>,
}

async fn ready(machine: &mut impl Machine, recipe: Recipe<'_>) -> Result<Ready, BuildError> {
    let channel = machine.take_channel().ok_or_else(|| BuildError::Ended("no channel".into()))?;
    let prepare = Request::Prepare(Box::new(Prepare {
        spec: recipe.spec.to_owned(),
        scratch: recipe.shape.devices.has(Slot::Scratch).then(|| Slot::Scratch.name().to_owned()),
        containers: SHELLS,
    }));
    let prepared = async {
        let (guest, mut events, hello) = Guest::connect(channel, SOFTWARE, PATIENCE).await?;
        let mut log = String::new();
        let prepared = async {
            let request = guest.request(&prepare);
            tokio::pin!(request);
            loop {
                tokio::select! {
                    // What was said before the answer is read before it.
                    biased;
                    Some(event) = events.next() => if let Event::KernelLog { text } = event {
                        log.push_str(&text);
                    },
                    reply = &mut request => return reply,
                }
            }
        };
        match timeout(PATIENCE, prepared).await.map_err(|_| BuildError::Slow(PATIENCE))? {
            Ok(_) => Ok((guest, hello, log)),
            Err(error) => Err(BuildError::Prepare(error)),
        }
    };
    // The channel stays open until the machine is saved: its guest must not see it closed.
    let (_guest, hello, log) = tokio::select! {
        prepared = prepared => prepared?,
        end = machine.wait() => return Err(BuildError::Ended(end.to_string())),
    };
    Ok(Ready { hello, log, state: machine.save().await? })
}

/// Writes down what the files are, which from here on never change.
fn describe(recipe: Recipe<'_>, key: &Key, dir: &Path, kernel: Option<String>) -> io::Result<()> {
    for name in [MEMORY, STATE, SCRATCH, REHEARSAL] {
        fs::set_permissions(dir.join(name), Permissions::from_mode(0o400))?;
    }
    let manifest = Manifest {
        format: FORMAT,
        key: key.clone(),
        shape: recipe.shape.clone(),
        created: Timestamp::now(),
        boot: hull_vmm::host_boot()?,
        kernel,
        memory: manifest::stamp(&File::open(dir.join(MEMORY))?)?,
        scratch: manifest::stamp(&File::open(dir.join(SCRATCH))?)?,
        state: manifest::digest(&fs::read(dir.join(STATE))?),
    };
    manifest.write(dir)
}

const SOFTWARE: &str = concat!("hull ", env!("CARGO_PKG_VERSION"));
/// Containers that are made ready in a template: every rehearsal uses one up, that of a clone which
/// waits another, the container the last.
const SHELLS: u32 = image::TIMES + 2;
/// What a template takes on the disk, and some room.
const NEEDED: u64 = 96 << 20;
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
