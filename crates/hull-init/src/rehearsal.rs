//! What the container does that a waiting machine is given for practice: what matters is everything
//! around it.

use std::fs::{self, File};
use std::os::fd::AsFd;

use crate::sys;

/// Does what containers do with their image, with what they are given, and with their streams.
pub(crate) fn perform() {
    // Nothing depends on it.
    let _ = File::open(DATA).map(|data| sys::touch_as_program(data.as_fd(), DATA_BYTES));
    let _ = fs::read(DATA);
    let file = format!("{SHARE}/file");
    let _ = fs::write(&file, "rehearsed")
        .and_then(|()| fs::read(&file))
        .and_then(|_| fs::metadata(&file))
        .and_then(|_| fs::read_dir(SHARE))
        .map(|entries| entries.count())
        .and_then(|_| fs::remove_file(&file));
    let _ = rustix::io::write(rustix::stdio::stdout(), b"rehearsed\n");
}

/// In the image that `hull_template::image` writes.
const DATA: &str = "/data";
/// A part of it.
const DATA_BYTES: usize = 512 << 10;
/// Where that container has a share; `hull_template::image::SHARE` is the same.
const SHARE: &str = "/share";
