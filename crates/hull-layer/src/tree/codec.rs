//! A tree as bytes.

use thiserror::Error;

use super::Tree;

/// Why bytes are not a tree.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TreeError {
    #[error("the layer tree is damaged: {0}")]
    Damaged(&'static str),
    #[error("the layer tree has format version {found}, this program reads {expected}")]
    Version { found: u32, expected: u32 },
}

#[expect(clippy::todo)]
pub(super) fn encode(_tree: &Tree) -> Vec<u8> {
    todo!()
}

#[expect(clippy::todo)]
pub(super) fn decode(_bytes: &[u8]) -> Result<Tree, TreeError> {
    todo!()
}
