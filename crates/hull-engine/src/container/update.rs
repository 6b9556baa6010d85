//! Limits and restart policy of a container that exists.

use std::sync::Arc;

use hull_plan::{ContainerConfig, HostConfig, RestartPolicy};
use hull_supervisor::{Launch, paths};
use serde_json::value::to_raw_value;

use super::entry::Container;
use super::kill::failed;
use super::start::damaged;
use crate::{Engine, Error, Result, host};

/// What to change; zero and empty leave things as they are.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// Limits: all else in it is left alone.
    pub limits: HostConfig,
    pub restart_policy: Option<RestartPolicy>,
}

impl Engine {
    /// Changes a container's limits, those of a running one at once, and its restart policy.
    /// Returns sentences for the user.
    ///
    /// # Errors
    /// No such container; limits that make no sense, or that the machine of a running container
    /// cannot give: it does not grow.
    pub async fn update(&self, container: &str, update: Update) -> Result<Vec<String>> {
        let container = self.inner.containers.find(container)?;
        let context = format!("Cannot update container {}", container.id);
        self.detached(
            move |engine| async move { engine.update_container(&container, update).await },
        )
        .await
        .map_err(|error| error.within(context))
    }

    async fn update_container(
        &self,
        container: &Arc<Container>,
        mut update: Update,
    ) -> Result<Vec<String>> {
        let _gate = container.gate.lock().await;
        let live = container.live();
        if container.damage.is_some() {
            return Err(damaged(container));
        }
        if live.removing || live.removed {
            return Err(Error::Conflict(
                "container is marked for removal and cannot be \"update\"".into(),
            ));
        }
        let warnings = hull_plan::discard_unsupported(&mut update.limits);
        let mut record = (*container.record()).clone();
        merge(&mut record.config.host, &update)?;
        let host = host::plan_host();
        hull_plan::validate_update(&update.limits, &record.config, &host)?;
        if live.state.status.is_running() {
            hull_plan::validate(&record.config, &host)?;
            fits(container, &record.config)?;
            let resources = to_raw_value(&hull_plan::resources(&record.config))
                .map_err(|error| Error::internal("cannot encode limits", error))?;
            let task = self.running_task(container)?;
            let updated = task.update(resources).await;
            updated.map_err(|error| failed(container, error, "cannot update container"))?;
        }
        let dir = container.dir.clone();
        let written = tokio::task::spawn_blocking(move || record.write(&dir).map(|()| record))
            .await
            .map_err(|error| Error::internal("an update was interrupted", error))?;
        container.set_record(written?);
        self.tell(container, "update", &[]);
        Ok(warnings)
    }
}

/// As moby's `container.UpdateContainer`.
fn merge(own: &mut HostConfig, update: &Update) -> Result<()> {
    let new = &update.limits;
    let conflict = |message: &str| Err(Error::Conflict(message.to_owned()));
    if new.nano_cpus > 0 && own.cpu_period > 0 {
        return conflict(
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        );
    }
    if new.nano_cpus > 0 && own.cpu_quota > 0 {
        return conflict(
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
        );
    }
    if new.cpu_quota > 0 && own.nano_cpus > 0 {
        return conflict(
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        );
    }
    if new.cpu_period > 0 && own.nano_cpus > 0 {
        return conflict(
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
        );
    }
    if new.memory != 0 && new.memory_swap == 0 && new.memory > own.memory_swap {
        return conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the \
             memoryswap at the same time",
        );
    }
    for (own, new) in [
        (&mut own.nano_cpus, new.nano_cpus),
        (&mut own.cpu_period, new.cpu_period),
        (&mut own.cpu_quota, new.cpu_quota),
        (&mut own.cpu_shares, new.cpu_shares),
        (&mut own.memory, new.memory),
        (&mut own.memory_swap, new.memory_swap),
        (&mut own.memory_reservation, new.memory_reservation),
    ] {
        if new != 0 {
            *own = new;
        }
    }
    for (own, new) in
        [(&mut own.cpuset_cpus, &new.cpuset_cpus), (&mut own.cpuset_mems, &new.cpuset_mems)]
    {
        if !new.is_empty() {
            own.clone_from(new);
        }
    }
    if new.pids_limit.is_some() {
        // As moby: whatever is not positive means no limit.
        own.pids_limit = new.pids_limit.map(|limit| limit.max(0));
    }
    if let Some(policy) = update.restart_policy {
        if own.auto_remove && !policy.is_none() {
            return Err(Error::InvalidParameter(
                "Restart policy cannot be updated because AutoRemove is enabled for the container"
                    .into(),
            ));
        }
        own.restart_policy = policy;
    }
    Ok(())
}

/// Refuses what the machine of a running container does not have.
fn fits(container: &Container, config: &ContainerConfig) -> Result<()> {
    let path = container.dir.join(paths::LAUNCH);
    let launch: Launch = std::fs::read(&path)
        .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
        .map_err(Error::file("read", &path))?;
    let machine = &launch.machine;
    let too_small = |what: String| {
        Err(Error::Conflict(format!(
            "the machine of a running container does not grow, and this one has {what}: stop the \
             container, update it and start it again"
        )))
    };
    if u64::try_from(config.host.memory).is_ok_and(|memory| memory > machine.memory) {
        return too_small(format!("{} MiB for its container", machine.memory >> 20));
    }
    let wanted = hull_plan::VmSize::new(&config.host, &host::plan_host()).vcpus;
    if config.host.nano_cpus > 0 && wanted > machine.vcpus {
        return too_small(format!("{} CPUs", machine.vcpus));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(memory: i64, memory_swap: i64) -> HostConfig {
        HostConfig { memory, memory_swap, ..HostConfig::default() }
    }

    #[test]
    fn what_is_not_given_stays() {
        let mut own = limits(100, 200);
        let update = Update { limits: limits(150, 0), ..Update::default() };
        merge(&mut own, &update).unwrap();
        assert_eq!((own.memory, own.memory_swap), (150, 200));
        let update = Update { limits: limits(300, 0), ..Update::default() };
        assert!(merge(&mut own, &update).unwrap_err().to_string().contains("memoryswap"));
        let update = Update { limits: limits(300, -1), ..Update::default() };
        merge(&mut own, &update).unwrap();
        assert_eq!((own.memory, own.memory_swap), (300, -1));
    }

    #[test]
    fn what_goes_at_its_end_does_not_come_back() {
        let mut own = HostConfig { auto_remove: true, ..HostConfig::default() };
        let policy = RestartPolicy::parse("always", 0).unwrap();
        let update = Update { restart_policy: Some(policy), ..Update::default() };
        assert!(merge(&mut own, &update).is_err());
    }
}
