//! The child that becomes one more process of a running container.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd};

use crate::container::process::{self, Plan, report};
use crate::failure::{Context, Result};
use crate::sys;

/// Runs in the child, which is in the container's pid namespace and cgroup already. `root` is the
/// container's root, `init` the pidfd of its process 1, `namespaces` the `CLONE_NEW*` to join.
pub(crate) fn run(plan: Plan, root: BorrowedFd<'_>, init: BorrowedFd<'_>, namespaces: i32) -> ! {
    let Ok(control) = plan.control.try_clone() else {
        sys::exit_now(1);
    };
    match join_and_enter(plan, root, init, namespaces) {
        Ok(never) => match never {},
        Err(failure) => report(control.as_fd(), &failure),
    }
}

fn join_and_enter(
    plan: Plan,
    root: BorrowedFd<'_>,
    init: BorrowedFd<'_>,
    namespaces: i32,
) -> Result<Infallible> {
    process::begin()?;
    process::set_oom_score(plan.process.oom_score_adj)?;
    let found = plan.find(root)?;
    sys::setns(init, namespaces).context(|| "join the container's namespaces".into())?;
    plan.enter(found)
}
