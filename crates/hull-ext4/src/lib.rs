//! Writes empty ext4 file systems
