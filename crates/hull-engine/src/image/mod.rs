//! Images.

mod inspect;
mod list;
mod load;
mod pull;
mod remove;
mod tag;

pub use inspect::ImageInspect;
pub use list::{ImageListOptions, ImageSummary};
pub use pull::{Credentials, PullOptions, PullProgress, Pulled};
pub use remove::{ImageRemoveOptions, PruneReport, Removed};
