//! Makes the disk of an image from its layers: `image DIRECTORY LAYER...`, the lowest layer first.
//!
//! Writes `<n>.data`, `meta.erofs` and `disk.vmdk` into the directory and says what took how long.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hull_erofs::vmdk::{self, Extent};
use hull_layer::{Compression, Limits};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("no directory given")?);
    std::fs::create_dir_all(&directory)?;
    let mut trees = Vec::new();
    let mut lengths = Vec::new();
    for (number, layer) in arguments.enumerate() {
        let start = Instant::now();
        let mut reader = BufReader::with_capacity(256 << 10, File::open(layer)?);
        let compression = Compression::detect(reader.fill_buf()?);
        let reader = hull_layer::decompress(reader, compression)?;
        let mut data = File::create(directory.join(format!("{number}.data")))?;
        let converted = hull_layer::convert(reader, &mut data, &Limits::default())?;
        println!(
            "layer {number}: {} inodes, {} bytes of data, {:?}, {}",
            converted.tree.len(),
            converted.data_len,
            start.elapsed(),
            converted.diff_id
        );
        let start = Instant::now();
        let encoded = converted.tree.encode();
        let encoding = start.elapsed();
        let start = Instant::now();
        hull_layer::Tree::decode(&encoded)?;
        println!(
            "tree: {} bytes, encoded in {encoding:?}, decoded in {:?}",
            encoded.len(),
            start.elapsed()
        );
        trees.push(Arc::new(converted.tree));
        lengths.push(converted.data_len);
    }
    let start = Instant::now();
    let merged = hull_layer::merge(&trees)?;
    println!("merge: {} inodes, {:?}", merged.nodes().len(), start.elapsed());
    let start = Instant::now();
    let mut meta = File::create(directory.join("meta.erofs"))?;
    let layout = hull_erofs::write(&merged, &lengths, &mut meta)?;
    println!("image: {} bytes, {:?}", layout.meta_len, start.elapsed());
    let names: Vec<String> = (0..lengths.len()).map(|n| format!("{n}.data")).collect();
    let mut extents = vec![Extent { path: "meta.erofs", len: layout.meta_len }];
    extents.extend(names.iter().zip(&lengths).map(|(path, len)| Extent { path, len: *len }));
    let descriptor = vmdk::descriptor(&extents, hull_erofs::DISK_SIZE)?;
    std::fs::write(directory.join("disk.vmdk"), descriptor)?;
    Ok(())
}
