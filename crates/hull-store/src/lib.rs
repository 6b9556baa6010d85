//! The image store: blobs, images, converted layers, root file systems
