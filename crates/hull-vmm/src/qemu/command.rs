//! The commands of the machine protocol that Hull uses.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::qmp::Command;

/// Stops all vCPUs.
#[derive(Debug, Serialize)]
pub struct Stop {}

impl Command for Stop {
    const NAME: &'static str = "stop";
    type Reply = Empty;
}

/// Lets all vCPUs go on.
#[derive(Debug, Serialize)]
pub struct Continue {}

impl Command for Continue {
    const NAME: &'static str = "cont";
    type Reply = Empty;
}

/// Asks what the machine does.
#[derive(Debug, Serialize)]
pub struct QueryStatus {}

impl Command for QueryStatus {
    const NAME: &'static str = "query-status";
    type Reply = RunStatus;
}

/// Makes a block node.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct AddNode(pub(super) Value);

impl Command for AddNode {
    const NAME: &'static str = "blockdev-add";
    type Reply = Empty;
}

/// Changes block nodes that exist.
#[derive(Debug, Serialize)]
pub(super) struct ReopenNodes {
    pub(super) options: Vec<Value>,
}

impl Command for ReopenNodes {
    const NAME: &'static str = "blockdev-reopen";
    type Reply = Empty;
}

/// Removes a block node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct DeleteNode {
    pub(super) node_name: String,
}

impl Command for DeleteNode {
    const NAME: &'static str = "blockdev-del";
    type Reply = Empty;
}

/// Copies a disk while it is used.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Mirror {
    pub(super) job_id: String,
    pub(super) device: &'static str,
    pub(super) target: String,
    pub(super) sync: &'static str,
    pub(super) auto_dismiss: bool,
}

impl Command for Mirror {
    const NAME: &'static str = "blockdev-mirror";
    type Reply = Empty;
}

/// Has a job do nothing until it is resumed.
#[derive(Debug, Serialize)]
pub(super) struct PauseJob {
    pub(super) id: String,
}

impl Command for PauseJob {
    const NAME: &'static str = "job-pause";
    type Reply = Empty;
}

/// Has a job go on.
#[derive(Debug, Serialize)]
pub(super) struct ResumeJob {
    pub(super) id: String,
}

impl Command for ResumeJob {
    const NAME: &'static str = "job-resume";
    type Reply = Empty;
}

/// Says how far jobs are.
#[derive(Debug, Serialize)]
pub(super) struct QueryJobs {}

impl Command for QueryJobs {
    const NAME: &'static str = "query-jobs";
    type Reply = Vec<Job>;
}

/// A job and how far it is.
#[derive(Debug, Deserialize)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) error: Option<String>,
}

/// Ends a job.
#[derive(Debug, Serialize)]
pub(super) struct CancelJob {
    pub(super) device: String,
    pub(super) force: bool,
}

impl Command for CancelJob {
    const NAME: &'static str = "block-job-cancel";
    type Reply = Empty;
}

/// Forgets a job that has ended.
#[derive(Debug, Serialize)]
pub(super) struct DismissJob {
    pub(super) id: String,
}

impl Command for DismissJob {
    const NAME: &'static str = "job-dismiss";
    type Reply = Empty;
}

/// Leaves shared memory out of what is saved and loaded.
#[derive(Debug, Serialize)]
pub(super) struct IgnoreShared {
    capabilities: [Capability; 1],
}

#[derive(Debug, Serialize)]
struct Capability {
    capability: &'static str,
    state: bool,
}

impl IgnoreShared {
    pub(super) fn new() -> Self {
        Self::set(true)
    }

    pub(super) fn off() -> Self {
        Self::set(false)
    }

    fn set(state: bool) -> Self {
        Self { capabilities: [Capability { capability: "x-ignore-shared", state }] }
    }
}

impl Command for IgnoreShared {
    const NAME: &'static str = "migrate-set-capabilities";
    type Reply = Empty;
}

/// Sets how fast the state is saved, bytes per second.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SaveSpeed {
    pub(super) max_bandwidth: u64,
}

impl Command for SaveSpeed {
    const NAME: &'static str = "migrate-set-parameters";
    type Reply = Empty;
}

/// Names the descriptor that is passed with it.
#[derive(Debug, Serialize)]
pub(super) struct NameDescriptor {
    pub(super) fdname: String,
}

impl Command for NameDescriptor {
    const NAME: &'static str = "getfd";
    type Reply = Empty;
}

/// Makes a host's end of a network interface.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct AddNetdev(pub(super) Value);

impl Command for AddNetdev {
    const NAME: &'static str = "netdev_add";
    type Reply = Empty;
}

/// Removes a host's end of a network interface.
#[derive(Debug, Serialize)]
pub(super) struct DeleteNetdev {
    pub(super) id: String,
}

impl Command for DeleteNetdev {
    const NAME: &'static str = "netdev_del";
    type Reply = Empty;
}

/// Plugs a device.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct AddDevice(pub(super) Value);

impl Command for AddDevice {
    const NAME: &'static str = "device_add";
    type Reply = Empty;
}

/// Asks the guest to let go of a device, which is then gone.
#[derive(Debug, Serialize)]
pub(super) struct DeleteDevice {
    pub(super) id: String,
}

impl Command for DeleteDevice {
    const NAME: &'static str = "device_del";
    type Reply = Empty;
}

/// Saves the state.
#[derive(Debug, Serialize)]
pub(super) struct Migrate {
    pub(super) uri: String,
}

impl Command for Migrate {
    const NAME: &'static str = "migrate";
    type Reply = Empty;
}

/// Loads a state and lets the machine go on from there.
#[derive(Debug, Serialize)]
pub(super) struct MigrateIncoming {
    pub(super) uri: String,
}

impl Command for MigrateIncoming {
    const NAME: &'static str = "migrate-incoming";
    type Reply = Empty;
}

/// Asks what became of [`Migrate`].
#[derive(Debug, Serialize)]
pub(super) struct QueryMigrate {}

impl Command for QueryMigrate {
    const NAME: &'static str = "query-migrate";
    type Reply = MigrationStatus;
}

/// What became of saving the state.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MigrationStatus {
    pub(super) status: Option<String>,
    pub(super) error_desc: Option<String>,
}

/// Reply that says nothing.
#[derive(Debug, Deserialize)]
pub struct Empty {}

/// What the machine does.
#[derive(Debug, Deserialize)]
pub struct RunStatus {
    pub running: bool,
    pub status: String,
}
