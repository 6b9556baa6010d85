//! Images made here: from containers and from archives.

use hull_protocol::Part;
use hull_registry::Reference;
use hull_store::Composition;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use super::instructions;
use super::lookup::{parse_platform, parse_reference};
use crate::container::state::Status;
use crate::{Engine, Error, Result};

/// How to make an image of a container.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    /// Name with an optional tag; empty: none.
    pub name: String,
    pub author: String,
    pub comment: String,
    /// Instructions of a Dockerfile that change the configuration.
    pub changes: Vec<String>,
    /// Freeze the container meanwhile.
    pub pause: bool,
}

/// How to make an image of an archive.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Name with an optional tag; empty: none.
    pub name: String,
    pub message: String,
    /// Instructions of a Dockerfile that make up the configuration.
    pub changes: Vec<String>,
    /// `os/arch[/variant]`; `None`: the host's.
    pub platform: Option<String>,
}

impl Engine {
    /// Makes an image of what a container has changed; returns its id.
    ///
    /// # Errors
    /// No such container; the image that it was made from is gone; an instruction makes no sense.
    pub async fn commit(&self, container: &str, options: CommitOptions) -> Result<String> {
        let container = self.inner.containers.find(container)?;
        let names = names(&options.name)?;
        let record = container.record();
        let base = self.image(&record.image.id)?;
        let mut config = crate::container::commit::image_config(&record.config);
        instructions::apply(&mut config, &options.changes)?;
        let running = container.live().state.status == Status::Running;
        let paused = options.pause && running;
        if paused {
            self.pause(&container.id).await?;
        }
        let stored = async {
            let mut stream = self.read_part(&container, Part::Layer).await?;
            let (sender, receiver) = tokio::sync::mpsc::channel(8);
            let feed = async move {
                loop {
                    let piece = match stream.next().await {
                        Ok(Some(piece)) => Ok(piece),
                        Ok(None) => return,
                        Err(error) => Err(std::io::Error::other(error)),
                    };
                    let failed = piece.is_err();
                    if sender.send(piece).await.is_err() || failed {
                        return;
                    }
                }
            };
            let pieces = futures_util::stream::unfold(receiver, async |mut receiver| {
                receiver.recv().await.map(|piece| (piece, receiver))
            });
            let layer = Box::pin(StreamReader::new(pieces));
            let created = Timestamp::now().to_string();
            let mut whole_config = self.document(&base.id)?;
            let step = json!({
                "author": options.author,
                "created": created,
                "created_by": record.config.cmd.clone().unwrap_or_default().join(" "),
                "comment": options.comment,
            });
            whole_config.insert("author".into(), json!(options.author));
            whole_config.insert("config".into(), config);
            whole_config.insert("container".into(), json!(record.id));
            whole_config.insert("comment".into(), json!(options.comment));
            whole_config.remove("container_config");
            let composition = Composition { base: Some(base), layer, names: names.clone() };
            let made = self.inner.store.compose(composition, move |diff_ids, is_new| {
                finish(whole_config, step, &created, diff_ids, is_new)
            });
            let ((), image) = tokio::join!(feed, made);
            Ok::<_, Error>(image?)
        }
        .await;
        if paused {
            self.unpause(&container.id).await?;
        }
        let image = stored?;
        let id = image.id.to_string();
        self.tell(&container, "commit", &[("comment", options.comment), ("imageID", id.clone())]);
        for name in names {
            self.tell_image("tag", &id, &name.familiar());
        }
        Ok(id)
    }

    /// Makes an image of an archive with a whole root file system, plain or compressed; returns
    /// its id.
    ///
    /// # Errors
    /// It is no archive, or an instruction makes no sense.
    pub async fn import(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
        options: ImportOptions,
    ) -> Result<String> {
        let names = names(&options.name)?;
        let platform = match options.platform.as_deref() {
            None | Some("") => self.platform()?,
            Some(platform) => parse_platform(platform)?,
        };
        let mut config = json!({});
        instructions::apply(&mut config, &options.changes)?;
        let created = Timestamp::now().to_string();
        let mut document = Map::new();
        document.insert("architecture".into(), json!(platform.architecture));
        document.insert("os".into(), json!(platform.os));
        if !platform.variant.is_empty() {
            document.insert("variant".into(), json!(platform.variant));
        }
        document.insert("comment".into(), json!(options.message));
        document.insert("config".into(), config);
        let step = json!({"created": created, "comment": options.message});
        let composition = Composition { base: None, layer: archive, names: names.clone() };
        let made = self.inner.store.compose(composition, move |diff_ids, is_new| {
            finish(document, step, &created, diff_ids, is_new)
        });
        let image = match made.await {
            Ok(image) => image,
            Err(error) => {
                self.collect_after_failure().await;
                return Err(error.into());
            }
        };
        let id = image.id.to_string();
        let name = names.first().map_or_else(|| id.clone(), Reference::familiar);
        self.tell_image("import", &id, &name);
        Ok(id)
    }

    /// Begins to fetch an archive for [`Engine::import`] by http or https.
    ///
    /// # Errors
    /// It is no such URL, or the server does not answer with a file.
    pub async fn download(&self, url: &str) -> Result<impl AsyncRead + Send + Unpin + use<>> {
        let download = self.inner.store.fetch(url).await?;
        let pieces = futures_util::stream::unfold(download, async |mut download| {
            let piece = download.next().await.map_err(std::io::Error::other).transpose()?;
            Some((piece, download))
        });
        Ok(Box::pin(StreamReader::new(pieces)))
    }

    /// Returns an image's configuration as it is stored.
    fn document(&self, id: &hull_registry::Digest) -> Result<Map<String, Value>> {
        let bytes = self.inner.store.blob(id)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::internal("cannot read the image's configuration", error))
    }
}

/// Adds the last step and the layers to a configuration.
fn finish(
    mut document: Map<String, Value>,
    mut step: Value,
    created: &str,
    diff_ids: &[hull_registry::Digest],
    is_new: bool,
) -> Value {
    if !is_new {
        step["empty_layer"] = true.into();
    }
    if let Some(fields) = step.as_object_mut() {
        fields.retain(|_, value| value.as_str() != Some(""));
    }
    let mut history = match document.remove("history") {
        Some(Value::Array(history)) => history,
        _ => Vec::new(),
    };
    history.push(step);
    let diff_ids: Vec<_> = diff_ids.iter().map(ToString::to_string).collect();
    document.insert("created".into(), json!(created));
    document.insert("history".into(), history.into());
    document.insert("rootfs".into(), json!({"type": "layers", "diff_ids": diff_ids}));
    Value::Object(document)
}

fn names(name: &str) -> Result<Vec<Reference>> {
    if name.is_empty() {
        return Ok(Vec::new());
    }
    let reference = parse_reference(name)?;
    if reference.digest().is_some() {
        return Err(Error::InvalidParameter("cannot use digest reference".into()));
    }
    Ok(vec![reference.with_default_tag()])
}
