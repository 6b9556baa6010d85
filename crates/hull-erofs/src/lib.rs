//! Writes EROFS images whose file data lies in layer blobs
