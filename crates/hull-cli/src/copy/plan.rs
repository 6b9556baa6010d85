//! How names in the archive change so that its extraction is the copy that was asked for.

use super::paths::{asserts_directory, split};
use super::place::Place;
use crate::error::Failure;

/// Where an archive is extracted, and under which names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Plan {
    /// Directory.
    pub(crate) dir: String,
    /// What becomes of the name of the archive's root.
    pub(crate) root: Rename,
}

/// The name that an archive's root has, and the one that it gets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Rename {
    pub(crate) from: String,
    pub(crate) to: String,
}

impl Plan {
    /// Decides as docker's `archive.PrepareArchiveCopy` does.
    pub(crate) fn new(source: &Place, target: &Place) -> Result<Self, Failure> {
        let (_, from) = split(&source.path);
        let kept = match source.rebase.as_str() {
            "" => from.clone(),
            rebase => rebase.to_owned(),
        };
        if target.exists && target.is_dir {
            return Ok(Self { dir: target.path.clone(), root: Rename { from, to: kept } });
        }
        if target.exists && source.is_dir {
            return Err(Failure::new("cannot copy directory"));
        }
        if !target.exists && !source.is_dir && asserts_directory(&target.path) {
            return Err(Failure::new("no such directory"));
        }
        let (dir, to) = split(&target.path);
        Ok(Self { dir, root: Rename { from, to } })
    }
}

impl Rename {
    /// Returns the new name of an entry.
    pub(crate) fn apply(&self, name: &[u8]) -> Vec<u8> {
        // The root directory's own name is in front of every other.
        let from: &[u8] = if self.from == "/" { b"" } else { self.from.as_bytes() };
        match name.strip_prefix(from) {
            Some(rest) => [self.to.as_bytes(), rest].concat(),
            None => name.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Place {
        Place { path: path.into(), exists: true, ..Place::default() }
    }

    fn dir(path: &str) -> Place {
        Place { is_dir: true, ..file(path) }
    }

    fn nothing(path: &str) -> Place {
        Place { path: path.into(), ..Place::default() }
    }

    fn plan(source: Place, target: Place) -> String {
        match Plan::new(&source, &target) {
            Ok(Plan { dir, root: Rename { from, to } }) => format!("{dir} {from}>{to}"),
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn the_matrix_is_dockers() {
        assert_eq!(plan(file("/s/f"), dir("/d")), "/d f>f");
        assert_eq!(plan(file("/s/f"), file("/d/g")), "/d f>g");
        assert_eq!(plan(file("/s/f"), nothing("/d/g")), "/d f>g");
        assert_eq!(plan(file("/s/f"), nothing("/d/g/")), "no such directory");
        assert_eq!(plan(dir("/s/t"), dir("/d")), "/d t>t");
        assert_eq!(plan(dir("/s/t"), file("/d/g")), "cannot copy directory");
        assert_eq!(plan(dir("/s/t"), nothing("/d/g/")), "/d t>g");
        assert_eq!(plan(dir("/s/t/."), dir("/d")), "/d .>.");
        assert_eq!(plan(dir("/s/t/."), nothing("/d/g")), "/d .>g");
        let linked = Place { rebase: "link".into(), ..file("/s/f") };
        assert_eq!(plan(linked.clone(), dir("/d")), "/d f>link");
        assert_eq!(plan(linked, nothing("/d/g")), "/d f>g");
    }

    #[test]
    fn names_change_at_their_root() {
        let rename = |from: &str, to: &str, name: &str| {
            let rename = Rename { from: from.into(), to: to.into() };
            String::from_utf8(rename.apply(name.as_bytes())).unwrap()
        };
        assert_eq!(rename("t", "g", "t/a/t"), "g/a/t");
        assert_eq!(rename(".", "g", "./a"), "g/a");
        assert_eq!(rename("/", "g", "/a"), "g/a");
        assert_eq!(rename("t", "g", "other"), "other");
    }
}
