//! The child that becomes a container's process 1: builds what the container sees, enters it, and
//! executes.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use hull_protocol::{Create, ErrorCode, SHARE_TYPE};
use hull_spec::{Linux, Spec};
use rustix::fs::Mode;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};

use crate::console::phase;
use crate::container::process::{Found, Plan, make_working_directory, null, report};
use crate::container::stage::Stage;
use crate::container::{devices, mount_options, mounts, process, shares, skeleton};
use crate::failure::{Context, Failure, Result};
use crate::identity::write_sysctl;
use crate::setup::STATE_DIR;
use crate::sys;

/// Everything that the child needs, collected by the agent.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) create: &'a Create,
    pub(crate) place: Place,
    pub(crate) plan: Plan,
}

/// Where the child starts.
#[derive(Debug)]
pub(crate) enum Place {
    /// In new namespaces, with a root to fill.
    Bare(Root),
    /// In a container made ahead.
    Staged(Stage),
}

/// A root file system.
#[derive(Debug, Default)]
pub(crate) struct Root {
    /// Where it is in the mount namespace that the child starts in.
    pub(crate) path: String,
    /// The writable layer is new.
    pub(crate) fresh: bool,
    /// Mounts for [`Create::shares`].
    pub(crate) shares: Vec<OwnedFd>,
}

/// Runs in the child; the agent hears of a failure through the control socket.
pub(crate) fn run(job: Job<'_>) -> ! {
    let Ok(control) = job.plan.control.try_clone() else {
        sys::exit_now(1);
    };
    let mut job = job;
    let failure = match build(&mut job) {
        // What fails from here on, runc does not count as part of the container's init.
        Ok(found) => match job.plan.enter(found) {
            Ok(never) => match never {},
            Err(failure) => failure,
        },
        Err(failure) => failure,
    };
    report(control.as_fd(), &failure)
}

/// Builds what the container sees and enters it.
fn build(job: &mut Job<'_>) -> Result<Found> {
    let in_init = |failure: Failure| match failure.code {
        // Docker itself finds these, before runc comes into it.
        ErrorCode::NotFound | ErrorCode::Invalid => failure,
        code => Failure::new(code, format!("error during container init: {failure}")),
    };
    build_root(job).map_err(in_init)
}

fn build_root(job: &mut Job<'_>) -> Result<Found> {
    phase("forked");
    let default = Linux::default();
    let linux = job.spec.linux.as_ref().unwrap_or(&default);
    let score = job.plan.process.oom_score_adj;
    match &job.place {
        Place::Bare(_) => {
            process::begin()?;
            process::set_oom_score(score)?;
            enter_cgroup_namespace(linux)?;
        }
        Place::Staged(stage) if stage.oom_score_adj == score => {}
        Place::Staged(_) => process::set_oom_score(score)?,
    }
    if has_namespace(linux, "uts") {
        names(job.spec)?;
    }
    for (key, value) in &linux.sysctl {
        match &job.place {
            Place::Staged(stage) if stage.sysctls.contains(key) => {}
            _ => write_sysctl(key, value)?,
        }
    }
    let (place, mut stage) = match &mut job.place {
        Place::Bare(root) => (std::mem::take(root), None),
        Place::Staged(stage) => (stage.root(&job.plan.control)?, Some(stage)),
    };
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    let root = rustix::fs::open(place.path.as_str(), flags, Mode::empty())
        .context(|| format!("open {}", place.path))?;
    let root = root.as_fd();
    if place.fresh && !job.create.files.is_empty() {
        skeleton::make(root).context(|| "make the first layer".into())?;
    }
    let deferred = mount_all(root, job.spec, job.create, &place.shares, stage.as_deref())?;
    phase("mounts made");
    let has_dev_bind = job.spec.mounts.iter().any(|mount| {
        mount.destination.trim_end_matches('/') == "/dev"
            && (mount.kind == "bind" || mount.options.iter().any(|o| o == "bind" || o == "rbind"))
    });
    let has_dev = stage.as_ref().is_some_and(|stage| stage.has_dev(&job.spec.mounts));
    if !has_dev_bind && !has_dev {
        devices::make(root, &linux.devices)?;
    }
    phase("devices made");
    if job.create.init {
        mounts::bind_path(root, "/init", INIT_PATH, true)?;
        let args = [INIT_PATH.to_owned(), "--".to_owned()];
        job.plan.process.args.splice(0..0, args);
    }
    let found = job.plan.find(root)?;
    if let Some(terminal) = &found.terminal {
        terminal.mount_console(root)?;
    }
    make_working_directory(root, &job.plan.process.cwd)?;
    phase("user found");
    for path in &linux.readonly_paths {
        mounts::protect(root, path)?;
    }
    if !linux.masked_paths.is_empty() {
        let null = null(root).context(|| "open /dev/null".into())?;
        for path in &linux.masked_paths {
            mounts::mask(root, path, null.as_fd(), stage.as_deref_mut())?;
        }
    }
    for mount in &deferred {
        mounts::finish(root, mount)?;
    }
    if job.spec.root.as_ref().is_some_and(|root| root.readonly) {
        mounts::set_read_only(root).context(|| "make the root read-only".into())?;
    }
    phase("paths masked");
    enter_root(root, &linux.rootfs_propagation)?;
    phase("root entered");
    Ok(found)
}

/// Makes the cgroup that the caller is in the root of a namespace, if the container has its own.
pub(crate) fn enter_cgroup_namespace(linux: &Linux) -> Result<()> {
    match has_namespace(linux, "cgroup") {
        true => sys::unshare(libc::CLONE_NEWCGROUP).context(|| "unshare cgroup".into()),
        false => Ok(()),
    }
}

fn has_namespace(linux: &Linux, kind: &str) -> bool {
    linux.namespaces.iter().any(|namespace| namespace.kind == kind)
}

fn names(spec: &Spec) -> Result<()> {
    if !spec.hostname.is_empty() {
        rustix::system::sethostname(spec.hostname.as_bytes()).context(|| "sethostname".into())?;
    }
    if !spec.domainname.is_empty() {
        rustix::system::setdomainname(spec.domainname.as_bytes())
            .context(|| "setdomainname".into())?;
    }
    Ok(())
}

/// Makes all mounts: those of the specification in order, the managed files last.
fn mount_all(
    root: BorrowedFd<'_>,
    spec: &Spec,
    create: &Create,
    shared: &[OwnedFd],
    stage: Option<&Stage>,
) -> Result<Vec<mounts::Deferred>> {
    let mut deferred = Vec::new();
    for mount in &spec.mounts {
        if mount.kind == SHARE_TYPE {
            shares::mount(root, mount, &create.shares, shared)?;
            continue;
        }
        match stage.and_then(|stage| stage.mounted(mount)) {
            Some(tree) => mounts::place(root, mount, tree)?,
            None => deferred.extend(mounts::make(root, mount)?),
        }
    }
    // Docker's rule: these are as writable as the root is.
    let read_only = spec.root.as_ref().is_some_and(|root| root.readonly);
    for (index, (path, content)) in create.files.iter().enumerate() {
        let source = format!("{STATE_DIR}/{}/file{index}", create.container);
        // No bits of the mode are masked in a child.
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&source)
            .and_then(|mut file| file.write_all(content.as_bytes()))
            .map_err(|error| Failure::failed(format!("write {source}: {error}")))?;
        mounts::bind_path(root, &source, path, read_only)?;
    }
    Ok(deferred)
}

fn enter_root(root: BorrowedFd<'_>, propagation: &str) -> Result<()> {
    let what = || "pivot_root".to_owned();
    rustix::process::fchdir(root).context(what)?;
    // The old root lands on top of the new one, and goes with everything below it.
    rustix::process::pivot_root(".", ".").context(what)?;
    unmount(".", UnmountFlags::DETACH).context(what)?;
    rustix::process::chdir("/").context(what)?;
    if !propagation.is_empty() {
        let flags = mount_options::propagation(propagation).ok_or_else(|| {
            Failure::invalid(format!("unknown rootfs propagation {propagation:?}"))
        })?;
        if flags & !MountPropagationFlags::REC != MountPropagationFlags::PRIVATE {
            mount_change("/", flags).context(|| "set propagation of the root".into())?;
        }
    }
    Ok(())
}

/// Where Docker puts the init of `--init`.
pub(crate) const INIT_PATH: &str = "/sbin/docker-init";
