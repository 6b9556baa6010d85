//! Lists of images.

use std::collections::BTreeMap;

use hull_store::Image;
use jiff::Timestamp;

use crate::{Engine, Filters, Result};

/// Which images.
#[derive(Clone, Debug, Default)]
pub struct ImageListOptions {
    /// Keys: `before`, `dangling`, `label`, `reference`, `since`, `until` (a timestamp in
    /// seconds or RFC 3339).
    pub filters: Filters,
    /// Also nameless ones that others were made on here.
    pub all: bool,
}

/// An image in a list.
#[derive(Clone, Debug)]
pub struct ImageSummary {
    /// `sha256:<hex>` of the image's configuration.
    pub id: String,
    /// As Docker prints them, for example `busybox:latest`; none: a dangling image.
    pub tags: Vec<String>,
    /// For example `busybox@sha256:<hex>`.
    pub digests: Vec<String>,
    pub created: Option<Timestamp>,
    /// Bytes of all layers, unpacked.
    pub size: u64,
    pub labels: BTreeMap<String, String>,
    /// Containers that were made from it.
    pub containers: usize,
}

impl Engine {
    /// Lists images, newest first.
    ///
    /// # Errors
    /// An unknown filter or a value that makes no sense.
    pub async fn images(&self, options: ImageListOptions) -> Result<Vec<ImageSummary>> {
        let filters = &options.filters;
        filters.validate(FILTERS)?;
        let bounds = self.bounds(filters)?;
        let mut users: BTreeMap<String, usize> = BTreeMap::new();
        for container in self.inner.containers.all() {
            *users.entry(container.record().image.id.clone()).or_default() += 1;
        }
        let images = self.inner.store.images();
        let shown = |image: &Image| {
            options.all || !image.references.is_empty() || !self.inner.store.has_children(&image.id)
        };
        let wanted = images.iter().filter(|image| bounds.include(filters, image) && shown(image));
        Ok(wanted
            .map(|image| {
                let id = image.id.to_string();
                let mut tags = image.repo_tags();
                let mut digests = image.repo_digests();
                if filters.contains("reference") {
                    tags.retain(|tag| has_reference(filters, tag));
                    digests.retain(|digest| has_reference(filters, digest));
                }
                ImageSummary {
                    tags,
                    digests,
                    created: created(image),
                    size: image.size,
                    labels: image.config.config.labels.clone().unwrap_or_default(),
                    containers: users.get(&id).copied().unwrap_or_default(),
                    id,
                }
            })
            .collect())
    }

    fn bounds(&self, filters: &Filters) -> Result<Bounds> {
        let of = |key: &str| -> Result<Option<Timestamp>> {
            match filters.values(key).last() {
                Some(name) => Ok(created(&self.image(name)?)),
                None => Ok(None),
            }
        };
        let until = filters.until()?;
        Ok(Bounds {
            before: of("before")?,
            since: of("since")?,
            until,
            dangling: filters.boolean("dangling")?,
        })
    }
}

/// Which images a list's filters leave.
struct Bounds {
    before: Option<Timestamp>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    dangling: Option<bool>,
}

impl Bounds {
    fn include(&self, filters: &Filters, image: &Image) -> bool {
        let time = created(image).unwrap_or(Timestamp::UNIX_EPOCH);
        let names = || [image.repo_tags(), image.repo_digests()].concat();
        let named = || names().iter().any(|name| has_reference(filters, name));
        self.before.is_none_or(|before| time < before)
            && self.since.is_none_or(|since| time > since)
            && self.until.is_none_or(|until| time <= until)
            && self.dangling.is_none_or(|dangling| image.is_dangling() == dangling)
            && image.config.config.labels.as_ref().map_or_else(
                || filters.values("label").is_empty(),
                |labels| filters.all_labels("label", labels),
            )
            && (!filters.contains("reference") || named())
    }
}

/// When an image was made.
pub(super) fn created(image: &Image) -> Option<Timestamp> {
    image.created.parse().ok()
}

/// As Docker's `reference.FamiliarMatch`: a pattern of the name, with or without tag or digest.
fn has_reference(filters: &Filters, reference: &str) -> bool {
    let is_name = |name: &str| {
        let mut patterns = filters.values("reference").iter();
        patterns.any(|pattern| glob(pattern, name))
    };
    let end = reference.find('@').or_else(|| reference.rfind(':'));
    is_name(reference) || end.is_some_and(|end| is_name(&reference[..end]))
}

/// Matches as Go's `path.Match` does, without character classes: `*` and `?` stop at a slash.
fn glob(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('*') => {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            let longest = text.find('/').unwrap_or(text.len());
            ends.take_while(|at| *at <= longest).any(|at| glob(rest.as_str(), &text[at..]))
        }
        Some(wanted) => {
            let mut text = text.chars();
            let have = text.next();
            let same = match wanted {
                '?' => have.is_some_and(|have| have != '/'),
                wanted => have == Some(wanted),
            };
            same && glob(rest.as_str(), text.as_str())
        }
    }
}

const FILTERS: &[&str] = &["before", "dangling", "label", "reference", "since", "until"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_with_or_without_tag_and_digest() {
        let mut filters = Filters::default();
        filters.add("reference", "a:5/b");
        assert!(has_reference(&filters, "a:5/b:1") && has_reference(&filters, "a:5/b@sha256:ab"));
        assert!(!has_reference(&filters, "c:1") && !has_reference(&filters, "b@sha256:ab"));
    }

    #[test]
    fn patterns_stop_at_slashes() {
        for (pattern, text, matches) in [
            ("busy*", "busybox", true),
            ("busy*:1*", "busybox:1.36", true),
            ("*", "localhost:5000/a", false),
            ("*/a", "localhost:5000/a", true),
            ("b?", "bc", true),
            ("b?", "b", false),
            ("", "", true),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }
}
