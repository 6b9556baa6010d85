//! Containers that share the host's kernel: not built yet.

use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hull_supervisor::client::{Client, ClientError, Liveness};
use hull_supervisor::{Failure, FailureCode, Launch};

use super::vm::Machine;
use super::{Isolation, Launched, Task};
use crate::Result;

/// `--isolation process`.
#[derive(Debug)]
pub(crate) struct Processes;

impl Isolation for Processes {
    fn launch<'a>(
        &'a self,
        _: &'a Path,
        _: &'a Launch,
    ) -> BoxFuture<'a, Result<Box<dyn Launched>, ClientError>> {
        let failure = Failure {
            code: FailureCode::Unsupported,
            message: "isolation `process` is not available yet".into(),
            hint: Some("leave --isolation out, or use --isolation vm".into()),
        };
        async move { Err(failure.into()) }.boxed()
    }

    fn task(&self, dir: &Path) -> Arc<dyn Task> {
        Arc::new(Machine::new(Client::new(dir)))
    }

    fn recover(&self, _: &Path) -> Result<Liveness, ClientError> {
        Ok(Liveness::Dead(None))
    }
}
