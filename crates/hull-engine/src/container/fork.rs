//! Fork: containers that go on where a running one is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::join_all;
use hull_plan::{ContainerConfig, HostConfig, PublishedSocket};
use hull_supervisor::client::Client;
use hull_supervisor::launch::StartFrom;
use jiff::Timestamp;

use super::create::{Created, Stays, is_born};
use super::entry::Container;
use super::names;
use super::record::Record;
use super::remove::RemoveOptions;
use super::sockets;
use super::start::Occasion;
use super::state::Status;
use super::timings::Stopwatch;
use crate::{Engine, Error, Result, host, random};

/// How to fork a container.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ForkOptions {
    /// How many containers to make.
    pub count: u32,
    /// Name of the new container; of several it is followed by a hyphen and a number from 1.
    /// `None`: names are made up.
    pub name: Option<String>,
    /// Sockets of the new container on the host, which its source's are not; of several containers
    /// the paths on the host are followed by a hyphen and a number from 1.
    pub publish_sockets: Vec<PublishedSocket>,
}

impl Engine {
    /// Makes containers that go on where a running one is: with its memory, its processes and what
    /// they have open, and its file system. Each has its own name, host name, entropy and clock;
    /// connections with other machines stay with the one that is forked. Returns when they run.
    ///
    /// # Errors
    /// No such container; it does not run, or is paused; its machine cannot be copied; a name is in
    /// use. All are made or none.
    pub async fn fork(&self, container: &str, options: ForkOptions) -> Result<Vec<Created>> {
        let container = self.inner.containers.find(container)?;
        if options.count == 0 || options.count > MOST_CHILDREN {
            return Err(Error::InvalidParameter(format!(
                "cannot fork a container into {} containers: 1 to {MOST_CHILDREN} are possible",
                options.count
            )));
        }
        self.detached(move |engine| async move { engine.fork_container(&container, options).await })
            .await
    }

    async fn fork_container(
        &self,
        source: &Arc<Container>,
        options: ForkOptions,
    ) -> Result<Vec<Created>> {
        let _busy = self.inner.pool.busy();
        let _gate = source.gate.lock().await;
        if !source.is_running() {
            return Err(Error::Conflict(format!("container {} is not running", source.id)));
        }
        if source.live().state.status == Status::Paused {
            let message = format!("container {} is paused, unpause it first", source.id);
            return Err(Error::Conflict(message));
        }
        hull_plan::validate_sockets(&HostConfig {
            publish_sockets: options.publish_sockets.clone(),
            ..HostConfig::default()
        })?;
        let frozen = FrozenDir::new(self)?;
        let held = Client::new(&source.dir).fork(&frozen.0).await;
        let held = held.map_err(Error::supervisor("cannot fork the container"))?;
        let (mut made, mut failure) = (Vec::new(), None);
        for number in 1..=options.count {
            let number = (options.count > 1).then_some(number);
            match self.make_child(source, &options, number).await {
                Ok(child) => made.push(child),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        if failure.is_none() {
            let starts = made.iter().map(|child| self.start_child(child, &frozen.0));
            failure = join_all(starts).await.into_iter().find_map(Result::err);
        }
        drop(held);
        if let Some(error) = failure {
            for child in &made {
                let options = RemoveOptions { force: true, ..RemoveOptions::default() };
                // What cannot be removed is listed.
                let _ = self.remove(&child.id, options).await;
            }
            return Err(error);
        }
        self.inner.metrics.forked(made.len());
        let warnings = sockets::left_out(&source.record().config.host, &options.publish_sockets);
        let created =
            |child: Arc<Container>| Created { id: child.id.clone(), warnings: warnings.clone() };
        Ok(made.into_iter().map(created).collect())
    }

    /// Makes a child; of several it has a number.
    async fn make_child(
        &self,
        source: &Container,
        options: &ForkOptions,
        number: Option<u32>,
    ) -> Result<Arc<Container>> {
        let parent = source.record();
        let name = options.name.as_ref().map(|name| match number {
            Some(number) => format!("{name}-{number}"),
            None => name.clone(),
        });
        let given = name.as_deref().map(names::parse).transpose()?;
        let id = random::id()?;
        let mut config = config_of_copy(&parent.config);
        config.host.publish_sockets = sockets::of_child(&options.publish_sockets, number);
        let plan = hull_plan::plan(&id, &config, &host::plan_host())?;
        let record = Record {
            version: Record::VERSION,
            id,
            name: String::new(),
            created: Timestamp::now(),
            image: parent.image.clone(),
            path: plan.path,
            args: plan.args,
            config,
        };
        let child = self.insert(given, record, Stays::IfStarted).await?;
        let attachments = source.attachments().of_copy();
        attachments.write(&child.dir)?;
        child.set_attachments(attachments);
        Ok(child)
    }

    async fn start_child(&self, child: &Arc<Container>, frozen: &Path) -> Result<()> {
        let occasion = Occasion::From(StartFrom::Clone(frozen.to_owned()));
        self.start_container(child, Stopwatch::start(), occasion).await?;
        is_born(child);
        Ok(())
    }
}

/// Returns the configuration of a copy, which has no address of its original, nor its published
/// ports: it gets other ones of the host. It has the same volumes, those without a name, too.
fn config_of_copy(config: &ContainerConfig) -> ContainerConfig {
    let mut copy = config.clone();
    copy.mac_address.clear();
    for settings in copy.networks.values_mut() {
        *settings = settings.without_addresses();
    }
    for binding in copy.host.port_bindings.values_mut().flatten() {
        binding.host_port.clear();
    }
    for point in &mut copy.mount_points {
        // They have been filled.
        point.no_copy = true;
    }
    copy
}

/// The directory of a copy that stands still.
struct FrozenDir(PathBuf);

impl FrozenDir {
    fn new(engine: &Engine) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;

        let path = engine.inner.layout.tmp().join(format!("fork-{}", &random::id()?[..12]));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(Error::file("make", &path))?;
        Ok(Self(path))
    }
}

impl Drop for FrozenDir {
    fn drop(&mut self) {
        // What is left goes when the engine opens next.
        let _ = fs::remove_dir_all(&self.0);
    }
}

const MOST_CHILDREN: u32 = 1000;
