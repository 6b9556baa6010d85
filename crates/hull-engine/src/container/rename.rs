//! Another name.

use tracing::warn;

use super::names;
use super::start::damaged;
use crate::{Engine, Error, Result};

impl Engine {
    /// Gives a container another name.
    ///
    /// # Errors
    /// No such container, not a name, or the name is in use.
    pub async fn rename(&self, container: &str, name: &str) -> Result<()> {
        let (old, new) = (container.trim(), name.trim());
        if old.trim_start_matches('/').is_empty() || new.trim_start_matches('/').is_empty() {
            return Err(Error::InvalidParameter("Neither old nor new names may be empty".into()));
        }
        let container = self.inner.containers.find(old)?;
        let _gate = container.gate.lock().await;
        if container.damage.is_some() {
            // What cannot be read now may be worth reading once; it is not written over.
            return Err(damaged(&container));
        }
        let record = container.record();
        if record.name == new.strip_prefix('/').unwrap_or(new) {
            return Err(Error::InvalidParameter(
                "Renaming a container with the same name as its current name".into(),
            ));
        }
        let context = "Error when allocating new name";
        let new = names::parse(new).map_err(|error| error.within(context))?;
        self.inner.containers.reserve(new, &container.id).map_err(|error| error.within(context))?;
        let mut renamed = (*record).clone();
        renamed.name = new.to_owned();
        let dir = container.dir.clone();
        let written = tokio::task::spawn_blocking(move || renamed.write(&dir).map(|()| renamed))
            .await
            .map_err(|error| Error::internal("renaming was interrupted", error))
            .flatten();
        match written {
            Ok(renamed) => {
                container.set_record(renamed);
                self.inner.containers.release(&record.name);
                if let Err(error) = self.rename_in_links(&container.id, new) {
                    warn!(container = record.short_id(), %error, "links do not follow");
                }
                let attachments = container.attachments();
                if container.is_running() && !attachments.list.is_empty() {
                    // Its name is another one already: that others still ask for the old one is no
                    // reason to say that nothing was done.
                    if let Err(error) = self.settle(&container, &attachments).await {
                        warn!(container = record.short_id(), %error, "names do not follow");
                    }
                }
                self.tell(&container, "rename", &[("oldName", format!("/{}", record.name))]);
                Ok(())
            }
            Err(error) => {
                self.inner.containers.release(new);
                Err(error)
            }
        }
    }
}
