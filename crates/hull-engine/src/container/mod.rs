//! Containers.

pub(crate) mod attach;
pub(crate) mod checkpoint;
pub(crate) mod create;
mod detach;
pub(crate) mod entry;
pub(crate) mod exec;
pub(crate) mod fork;
pub(crate) mod health;
pub(crate) mod inspect;
pub(crate) mod kill;
pub(crate) mod launch;
pub(crate) mod list;
pub(crate) mod logs;
mod names;
pub(crate) mod record;
pub(crate) mod registry;
pub(crate) mod remove;
mod rename;
pub(crate) mod restart;
mod signal;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod stop;
mod timings;
pub(crate) mod top;
pub(crate) mod update;
pub(crate) mod wait;
