//! An image layer as one tree: tar in, metadata tree and data blob out; trees merge
