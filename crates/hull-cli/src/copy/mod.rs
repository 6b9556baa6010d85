//! Files between this machine and containers, as tar archives.
//!
//! What is copied where follows docker's client in every combination of files, directories,
//! trailing slashes and `/.`: `paths.rs` has Go's functions on paths, `place.rs` what is at the two
//! ends, and `plan.rs` decides how the archive's names change and where it is extracted.

mod extract;
mod pack;
mod paths;
mod place;
mod plan;

pub(crate) use extract::extract;
pub(crate) use pack::pack;
pub(crate) use paths::{join_link, local, rebase_name, split};
pub(crate) use place::{Place, destination, source};
pub(crate) use plan::Plan;
