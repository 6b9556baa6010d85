//! Images.

mod compose;
mod history;
mod inspect;
mod instructions;
mod list;
mod load;
mod lookup;
mod pull;
mod remove;
mod save;
mod tag;

use hull_store::Store;

pub use compose::{CommitOptions, ImportOptions};
pub use history::HistoryStep;
pub use inspect::ImageInspect;
pub use list::{ImageListOptions, ImageSummary};
pub(crate) use pull::Pulls;
pub use pull::{Credentials, PullOptions, PullProgress, Pulled};
pub use remove::{ImageRemoveOptions, PruneReport, Removed};

use crate::{Error, Result, Settings};

/// Opens the image store of a state directory.
pub(crate) fn open_store(settings: &Settings) -> Result<Store> {
    let registry = hull_registry::Settings {
        insecure_registries: settings.insecure_registries.clone(),
        ..hull_registry::Settings::default()
    };
    let store = hull_store::Settings { registry, ..hull_store::Settings::default() };
    Store::open(&settings.root, store)
        .map_err(|error| Error::internal("cannot open the image store", error))
}
