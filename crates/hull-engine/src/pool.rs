//! Machines that were forked ahead and wait for their container.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use hull_plan::HostConfig;
use hull_supervisor::Launch;
use hull_supervisor::client::{self, ClientError, Waiting};
use hull_supervisor::launch::{Disks, MachineLaunch, TemplatesLaunch, TrialLaunch, WaitLaunch};
use hull_supervisor::paths;
use hull_vmm::{Arch, Artifact};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::engine::Inner;
use crate::error::one_line;
use crate::{Engine, PoolSettings, Result, Settings, host, random};

/// The pool. It holds no start up: a start takes what waits, or goes its own way, and machines are
/// only made while nothing else starts; what is being made for one start only is given up then.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Machines that wait to be used up, at most.
    size: usize,
    /// Shapes that a machine stands still for, to be cloned, at most.
    shapes: usize,
    /// Whether images are tried ahead.
    trials: bool,
    supervisor: PathBuf,
    dir: PathBuf,
    inner: Mutex<Inside>,
    /// Starts under way.
    starts: AtomicUsize,
    changed: Notify,
    /// Something starts.
    interrupted: Notify,
    /// The engine is about to close.
    closed: CancellationToken,
}

#[derive(Debug, Default)]
struct Inside {
    waiting: Vec<Member>,
    /// What is made next; `None`: what a container gets that asks for nothing.
    wanted: Option<(MachineLaunch, TemplatesLaunch)>,
    /// What the last start found missing.
    missed: Option<MachineLaunch>,
    /// What was started last, whose image a clone will be for: its disks and specification.
    started: Option<(Disks, Box<RawValue>)>,
    /// The last image for which no clone was ready, when one was for another.
    missed_image: Option<PathBuf>,
    /// Machines on this host can be cloned.
    clones: bool,
    last_start: Option<Instant>,
}

#[derive(Debug)]
struct Member {
    machine: MachineLaunch,
    made_from: Option<[Artifact; 3]>,
    /// The image that it is for; `None`: any.
    image: Option<PathBuf>,
    /// Its supervisor's directory.
    dir: PathBuf,
    waiting: Waiting,
}

impl Member {
    /// Whether it stands still, to be cloned.
    fn is_zygote(&self) -> bool {
        self.waiting.is_zygote()
    }

    fn suits(&self, image: &Path) -> bool {
        self.image.as_deref().is_none_or(|own| own == image)
    }
}

impl Inside {
    /// The members that what is wanted now can use.
    fn wanted_members(&self) -> impl Iterator<Item = &Member> {
        let is_wanted = |member: &&Member| match &self.wanted {
            Some((machine, _)) => member.machine == *machine,
            None => true,
        };
        self.waiting.iter().filter(is_wanted)
    }

    /// Notes which image is started. The second start in a row of an image for which no clone is
    /// ready has the one that is for another given up.
    fn note_image(&mut self, launch: &Launch, trials: bool) {
        if !trials || launch.visit {
            return;
        }
        let image = &launch.disks.image;
        let of_another = |member: &Member| !member.is_zygote() && !member.suits(image);
        let is_missed = self.waiting.iter().any(of_another);
        if is_missed && self.missed_image.as_ref() != Some(image) {
            self.missed_image = Some(image.clone());
            return;
        }
        self.waiting.retain(|member| !of_another(member));
        self.missed_image = None;
        self.started = Some((launch.disks.clone(), launch.spec.clone()));
    }
}

/// What the pool lacks.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Missing {
    /// A machine that is forked from its template.
    Machine,
    /// A clone of the machine in this directory.
    Clone(PathBuf),
}

/// What a start takes from the pool.
#[derive(Debug)]
pub(crate) enum Taken {
    /// A machine and its directory, which it removes itself.
    Machine(Waiting, PathBuf),
    /// The directory of a machine that is cloned and stays.
    Zygote(PathBuf),
}

/// Returns what there is to try of the image of a container with these disks and this specification.
fn trial(disks: &Disks, spec: &RawValue) -> Option<TrialLaunch> {
    #[derive(Deserialize)]
    struct Spec {
        process: Process,
    }
    #[derive(Deserialize)]
    struct Process {
        args: Vec<String>,
        #[serde(default)]
        env: Vec<String>,
        cwd: String,
    }
    let Process { args, env, cwd } = serde_json::from_str::<Spec>(spec.get()).ok()?.process;
    let path = env.iter().rev().find_map(|entry| entry.strip_prefix("PATH="));
    Some(TrialLaunch {
        image: disks.image.clone(),
        image_type: disks.image_type.clone(),
        program: args.into_iter().next()?,
        path: path.unwrap_or_default().to_owned(),
        directory: cwd,
    })
}

/// Returns kernel, agent and VMM as they are now: the files may have been replaced since.
fn parts(machine: &MachineLaunch) -> Option<[Artifact; 3]> {
    let vmm = match &machine.qemu {
        Some(path) => path.clone(),
        None => hull_vmm::qemu::find(Arch::parse(&machine.arch)?).ok()?,
    };
    let at = |path| Artifact::at(path).ok();
    Some([at(&machine.kernel)?, at(&machine.agent)?, at(&vmm)?])
}

/// A start under way, during which no machine is made.
#[derive(Debug)]
pub(crate) struct Busy<'a>(&'a Pool);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.starts.fetch_sub(1, Ordering::AcqRel);
        self.0.inside().last_start = Some(Instant::now());
        self.0.changed.notify_one();
    }
}

impl Pool {
    /// Returns an empty pool whose machines have their directories in `dir`. Without templates there
    /// is nothing to fork ahead.
    pub(crate) fn new(settings: &Settings, dir: PathBuf) -> Self {
        let PoolSettings { size, max_bytes, trials } = settings.pool;
        let machines = usize::try_from(max_bytes / MACHINE_BYTES).unwrap_or(usize::MAX);
        let size = if settings.templates.enabled { size.min(machines) } else { 0 };
        Self {
            size,
            shapes: (size * SHAPES).min(machines.saturating_sub(size)).max(size.min(1)),
            trials,
            supervisor: settings.supervisor.clone(),
            dir,
            inner: Mutex::default(),
            starts: AtomicUsize::new(0),
            changed: Notify::new(),
            interrupted: Notify::new(),
            closed: CancellationToken::new(),
        }
    }

    /// Notes that a start is under way, until the value is dropped.
    pub(crate) fn busy(&self) -> Busy<'_> {
        self.starts.fetch_add(1, Ordering::AcqRel);
        self.interrupted.notify_waiters();
        Busy(self)
    }

    /// Returns a machine for `launch` that waits; `None` if none fits.
    pub(crate) fn take(&self, launch: &Launch) -> Option<Taken> {
        let goes_on = launch.from.is_some();
        let templates = launch.templates.as_ref().filter(|_| self.is_on() && !goes_on)?;
        self.reap();
        let mut inside = self.inside();
        let fits = |member: &Member| member.machine == launch.machine;
        if inside.waiting.iter().any(fits) {
            let now = parts(&launch.machine);
            inside.waiting.retain(|member| !fits(member) || member.made_from == now);
        }
        inside.note_image(launch, self.trials);
        let image = &launch.disks.image;
        let ready = |member: &Member| fits(member) && !member.is_zygote() && member.suits(image);
        if let Some(index) = inside.waiting.iter().position(ready) {
            let member = inside.waiting.remove(index);
            return Some(Taken::Machine(member.waiting, member.dir));
        }
        if let Some(index) = inside.waiting.iter().position(fits) {
            let member = inside.waiting.remove(index);
            let place = member.dir.clone();
            // The one used last is the last.
            inside.waiting.push(member);
            return Some(Taken::Zygote(place));
        }
        // One container of a kind is no habit.
        if inside.missed.as_ref() == Some(&launch.machine) {
            // What is used up is there for one shape.
            inside.waiting.retain(Member::is_zygote);
            let excess = inside.waiting.len().saturating_sub(self.shapes.saturating_sub(1));
            inside.waiting.drain(..excess);
            inside.wanted = Some((launch.machine.clone(), templates.clone()));
        }
        inside.missed = Some(launch.machine.clone());
        None
    }

    /// Returns whether machines are made ahead at all.
    pub(crate) fn is_on(&self) -> bool {
        self.size > 0
    }

    /// Returns how many machines wait.
    pub(crate) fn len(&self) -> usize {
        self.reap();
        self.inside().waiting.len()
    }

    /// Lets go of machines that have ended while they waited, and of those that keep the disk of an
    /// image that has been removed.
    fn reap(&self) {
        let mut inside = self.inside();
        let ended = |member: &mut Member| !member.waiting.is_alive();
        let dead: Vec<_> = inside.waiting.extract_if(.., ended).collect();
        let is_there = |image: &PathBuf| image.exists();
        inside.waiting.retain(|member| member.image.as_ref().is_none_or(is_there));
        drop(inside);
        for member in dead {
            warn!("a machine of the pool has ended");
            // Gone already if its supervisor got that far.
            let _ = fs::remove_dir_all(&member.dir);
        }
    }

    /// Returns what is missing now.
    fn lack(&self) -> Option<Missing> {
        self.reap();
        let inside = self.inside();
        let zygote = inside.wanted_members().find(|member| member.is_zygote());
        if zygote.is_none() && inside.clones {
            return Some(Missing::Machine);
        }
        let ready = inside.wanted_members().filter(|member| !member.is_zygote()).count();
        let missing = zygote.map_or(Missing::Machine, |zygote| Missing::Clone(zygote.dir.clone()));
        (ready < self.size).then_some(missing)
    }

    /// Returns what is missing when nothing has started for a while.
    async fn missing(&self) -> Missing {
        loop {
            let changed = self.changed.notified();
            let quiet = self.inside().last_start.map_or(QUIET, |at| at.elapsed());
            match self.lack() {
                Some(missing) if self.starts.load(Ordering::Acquire) == 0 => {
                    if quiet >= QUIET {
                        return missing;
                    }
                    tokio::time::sleep(QUIET.saturating_sub(quiet)).await;
                }
                _ => changed.await,
            }
        }
    }

    async fn make(&self, launch: &WaitLaunch) -> Result<(), ClientError> {
        let fail = |source| ClientError::Spawn { program: self.supervisor.clone(), source };
        let name = random::id().map_err(|error| fail(std::io::Error::other(error)))?;
        let dir = self.dir.join(&name[..12]);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(fail)?;
        let json = serde_json::to_vec(launch).map_err(|error| fail(error.into()))?;
        fs::write(dir.join(paths::WAIT), json).map_err(fail)?;
        let made_from = match &launch.zygote {
            Some(zygote) => self.made_from(zygote),
            None => parts(&launch.machine),
        };
        match client::spawn_waiting(&self.supervisor, &dir).await {
            Ok(waiting) => {
                let machine = launch.machine.clone();
                let image = launch.trial.as_ref().map(|trial| trial.image.clone());
                let mut inside = self.inside();
                inside.clones |= waiting.is_zygote();
                inside.waiting.push(Member { machine, made_from, image, dir, waiting });
                Ok(())
            }
            Err(error) => {
                // Gone already if its supervisor got that far.
                let _ = fs::remove_dir_all(&dir);
                Err(error)
            }
        }
    }

    /// Returns what the member in `dir` was made from.
    fn made_from(&self, dir: &Path) -> Option<[Artifact; 3]> {
        let inside = self.inside();
        inside.waiting.iter().find(|member| member.dir == dir)?.made_from.clone()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Keeps the pool full, in the background, for as long as the engine is open.
    pub(crate) fn keep_pool(&self) {
        let pool = &self.inner.pool;
        // What a daemon that was killed has left; its machines, which end with it, remove it too.
        if let Err(error) = fs::remove_dir_all(&pool.dir)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            warn!(dir = %pool.dir.display(), %error, "cannot empty the pool's directory");
        }
        if pool.is_on() {
            tokio::spawn(fill(self.downgrade()));
        }
        // Builds that were killed have left something, too.
        let templates = self.template_store();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = templates.evict(None) {
                warn!(%error, "cannot tidy up the templates");
            }
        });
    }

    /// Ends the machines that wait for a container, and returns when they are gone. Containers run
    /// on.
    pub async fn close(&self) {
        let pool = &self.inner.pool;
        pool.closed.cancel();
        pool.inside().waiting.clear();
        // Each removes its directory when its machine has ended.
        let empty = || fs::read_dir(&pool.dir).map_or(true, |mut left| left.next().is_none());
        for _ in 0..GOODBYES {
            if empty() {
                return;
            }
            tokio::time::sleep(GOODBYE).await;
        }
        // A supervisor that was killed left its own.
        let _ = fs::remove_dir_all(&pool.dir);
    }

    fn wanted_machine(&self, missing: Missing) -> Result<Option<WaitLaunch>> {
        let rehearsal = self.rehearsal()?;
        let network = self.inner.settings.supervisor.clone();
        let zygote = match missing {
            Missing::Machine => None,
            Missing::Clone(dir) => Some(dir),
        };
        let (wanted, started) = {
            let inside = self.inner.pool.inside();
            (inside.wanted.clone(), inside.started.clone())
        };
        let started = started.filter(|(disks, _)| zygote.is_some() && disks.image.exists());
        let trial = started.and_then(|(disks, spec)| trial(&disks, &spec));
        let (machine, templates) = match wanted {
            Some((machine, templates)) => (machine, Some(templates)),
            None => {
                let machine = self.machine_for(&HostConfig::default(), &host::plan_host());
                (machine, self.templates_launch()?)
            }
        };
        let launch =
            |templates| WaitLaunch { machine, templates, rehearsal, network, zygote, trial };
        Ok(templates.map(launch))
    }
}

async fn fill(engine: Weak<Inner>) {
    let mut failures = 0;
    let mut ready = None;
    loop {
        let Some(inner) = engine.upgrade() else { return };
        let pool = inner.pool.clone();
        drop(inner);
        let missing = tokio::select! {
            () = pool.closed.cancelled() => return,
            missing = pool.missing() => missing,
            // The engine may have gone.
            () = tokio::time::sleep(LOOK) => continue,
        };
        let Some(engine) = Engine::upgrade(&engine) else { return };
        let made = match engine.wanted_machine(missing) {
            Ok(Some(launch)) => tokio::select! {
                () = pool.closed.cancelled() => return,
                made = fill_one(&engine, &launch, &mut ready) => made,
            },
            Ok(None) => return,
            Err(error) => Err(error.to_string()),
        };
        drop(engine);
        match made {
            Ok(()) => failures = 0,
            Err(error) if failures == 0 => {
                warn!(error, "no machine for the pool");
                failures = 1;
            }
            Err(error) => {
                debug!(error, "no machine for the pool");
                failures = (failures * 2).min(MOST_FAILURES);
            }
        }
        // Whatever is wrong stays wrong for a while.
        tokio::time::sleep(LOOK * failures).await;
    }
}

/// Makes one machine; `ready` is the last one for which the engine has seen to the template, whose
/// build it counts.
async fn fill_one(
    engine: &Engine,
    launch: &WaitLaunch,
    ready: &mut Option<MachineLaunch>,
) -> Result<(), String> {
    if ready.as_ref() != Some(&launch.machine) {
        let built = engine.obtain_template(launch.machine.clone(), launch.templates.clone()).await;
        built.map_err(|error| one_line(&error))?;
        *ready = Some(launch.machine.clone());
    }
    let pool = &engine.inner.pool;
    let interrupted = async {
        match launch.zygote {
            Some(_) => pool.interrupted.notified().await,
            // It takes longer than most starts are apart, and makes every start faster.
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        made = pool.make(launch) => made.map_err(|error| error.to_string()),
        // It would take time from what starts; its supervisor ends it.
        () = interrupted => Ok(()),
    }
}

/// A machine that is cloned serves any number of containers of its shape: there are a few shapes.
const SHAPES: usize = 4;
/// Memory of the host that a machine takes while it waits, most of it translated code.
const MACHINE_BYTES: u64 = 64 << 20;
/// How long nothing must have started before a machine is made.
const QUIET: Duration = Duration::from_millis(150);
/// How long machines that wait have to end: five seconds.
const GOODBYES: u32 = 500;
const GOODBYE: Duration = Duration::from_millis(10);
const LOOK: Duration = Duration::from_secs(2);
const MOST_FAILURES: u32 = 64;
