//! Whole engines over a driver that runs nothing.

mod exec;
mod fake;
mod images;
mod lifecycle;
mod list;
mod recovery;
mod restart;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use hull_plan::{ContainerConfig, ImageConfig};
use tempfile::TempDir;

use self::fake::Fake;
use crate::container::create::ImageFacts;
use crate::container::record::{ImageRecord, RootRecord};
use crate::isolation::Drivers;
use crate::{
    CreateOptions, Engine, Event, EventKind, EventOptions, EventStream, Settings, WaitCondition,
};

/// A state directory, and machines that outlive engines.
struct World {
    root: TempDir,
    fake: Fake,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("disks")).unwrap();
        std::fs::write(root.path().join("disks/disk.vmdk"), b"").unwrap();
        Self { root, fake: Fake::default() }
    }

    async fn open(&self) -> Engine {
        let mut settings = Settings::new(self.root.path(), "/nonexistent/hull", "/nonexistent");
        settings.pool.size = 0;
        let drivers = Drivers::with_vm(Arc::new(self.fake.clone()));
        Engine::open_with(settings, |_, _| drivers).await.unwrap()
    }

    fn dir(&self, id: &str) -> std::path::PathBuf {
        self.root.path().join("containers").join(id)
    }

    /// Number of entries in the engine's `tmp`.
    fn leftovers(&self) -> usize {
        std::fs::read_dir(self.root.path().join("tmp/engine")).unwrap().count()
    }
}

fn image() -> ImageFacts {
    ImageFacts {
        record: ImageRecord {
            id: format!("sha256:{}", "1".repeat(64)),
            os: "linux".into(),
            architecture: "amd64".into(),
            variant: String::new(),
            size: 1000,
            root: RootRecord {
                id: format!("sha256:{}", "2".repeat(64)),
                disk: "disks/disk.vmdk".into(),
            },
        },
        config: ImageConfig { env: vec!["FROM_IMAGE=1".into()], ..ImageConfig::default() },
    }
}

fn config() -> ContainerConfig {
    ContainerConfig {
        image: "busybox".into(),
        cmd: Some(vec!["sh".into(), "-c".into(), "true".into()]),
        ..ContainerConfig::default()
    }
}

async fn create(engine: &Engine, name: &str, config: ContainerConfig) -> String {
    let options = CreateOptions { name: (!name.is_empty()).then(|| name.to_owned()), config };
    engine.create_from(image(), options).await.unwrap().id
}

async fn run(engine: &Engine, name: &str) -> String {
    let id = create(engine, name, config()).await;
    engine.start(&id).await.unwrap();
    id
}

async fn wait(engine: &Engine, id: &str) -> i32 {
    let waiter = engine.wait(id, WaitCondition::NotRunning).await.unwrap();
    soon(waiter.finished()).await.unwrap().exit_code
}

/// Fails instead of hanging.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.unwrap()
}

fn listen(engine: &Engine) -> EventStream {
    engine.events(EventOptions::default()).unwrap()
}

/// Reads actions until `last`, but for those of networks.
async fn actions(events: &mut EventStream, last: &str) -> Vec<String> {
    let mut actions = vec![];
    loop {
        let Event { kind, action, attributes, .. } = soon(events.next()).await.unwrap();
        if kind == EventKind::Network {
            continue;
        }
        let shown = match (attributes.get("signal"), attributes.get("exitCode")) {
            (Some(value), _) | (_, Some(value)) => format!("{action} {value}"),
            _ => action.clone(),
        };
        actions.push(shown);
        if action == last {
            return actions;
        }
    }
}
