//! Formats a file: `format FILE SIZE`.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs::File;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("no file given")?;
    let size = arguments.next().ok_or("no size given")?.parse()?;
    let file = File::create(path)?;
    let start = Instant::now();
    hull_ext4::format(&file, &hull_ext4::Options::new(size, *b"hull-ext4-sample"))?;
    println!("{:?}", start.elapsed());
    Ok(())
}
