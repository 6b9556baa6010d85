//! What a container has changed in its image: `docker diff`.

use hull_protocol::Part;

use crate::{Engine, Error, Result};

/// One path that differs from the image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    pub kind: ChangeKind,
    /// Absolute; bytes that are no UTF-8 are replaced.
    pub path: String,
}

/// How it differs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChangeKind {
    Modified,
    Added,
    Deleted,
}

impl Engine {
    /// Lists what a container has changed in its image, directories before what is in them.
    ///
    /// # Errors
    /// No such container.
    pub async fn changes(&self, container: &str) -> Result<Vec<Change>> {
        let container = self.inner.containers.find(container)?;
        let mut stream = self.read_part(&container, Part::Changes).await?;
        let mut text = Vec::new();
        while let Some(piece) = stream.next().await? {
            if text.len() + piece.len() > LIMIT {
                return Err(Error::Internal {
                    context: "the list of changes is too long".into(),
                    source: None,
                });
            }
            text.extend_from_slice(&piece);
        }
        text.split(|byte| *byte == 0).filter(|record| !record.is_empty()).map(parse).collect()
    }
}

fn parse(record: &[u8]) -> Result<Change> {
    let kind = match record.first() {
        Some(b'A') => ChangeKind::Added,
        Some(b'C') => ChangeKind::Modified,
        Some(b'D') => ChangeKind::Deleted,
        _ => {
            return Err(Error::Internal {
                context: "the guest sent no list of changes".into(),
                source: None,
            });
        }
    };
    Ok(Change { kind, path: String::from_utf8_lossy(&record[1..]).into_owned() })
}

/// So long may a list be, in bytes: what a guest sends does not fill the daemon's memory.
const LIMIT: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read() {
        let change = parse(b"A/etc/new").unwrap();
        assert_eq!(change, Change { kind: ChangeKind::Added, path: "/etc/new".into() });
        assert!(parse(b"x/etc").is_err());
    }
}
