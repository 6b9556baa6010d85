//! Compares conversion and merging with what Docker made of the same layers.
//!
//! `tests/docker/recorded.jsonl` was written by `tests/docker/record.py`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use hull_layer::{Kind, Limits, Merged, Tree, WalkEntry, convert, merge};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// What this crate does where it deliberately differs from Docker.
const DEVIATIONS: &[(&str, Outcome)] = &[
    // The image specification lets a layer have a name and its whiteout; Docker fails on mknod.
    ("dir_then_wh", Outcome::Tree(&["d/new", "!d/lower", "!d/sub/x"])),
    ("file_then_wh", Outcome::Tree(&["f"])),
    ("wh_twice", Outcome::Tree(&["!f"])),
    ("wh_then_child", Outcome::Tree(&["d/new", "!d/lower", "!d/sub/x"])),
    // Files of AUFS itself.
    ("wh_plnk", Outcome::Tree(&["!.wh..wh.plnk", "!.wh..wh.plnk/1", "f"])),
    // Docker moves these back into the root.
    ("dotdot", Outcome::Error("leads out of the root")),
    ("dotdot_deep", Outcome::Error("leads out of the root")),
    ("dotdot_only", Outcome::Error("leads out of the root")),
    // Docker 20.10 refuses duplicates; unpackers take the last.
    ("dir_over_link", Outcome::Tree(&["l/x", "!real/x"])),
    ("file_over_link", Outcome::Tree(&["real", "l"])),
    ("link_over", Outcome::Tree(&["a", "b"])),
    ("link_target_replaced", Outcome::Tree(&["a", "g"])),
    ("dup_file", Outcome::Tree(&["a"])),
    ("dup_dir", Outcome::Tree(&["a/x"])),
    ("dup_file_over_dir", Outcome::Tree(&["a", "!a/x"])),
    ("dup_dir_over_file", Outcome::Tree(&["a/x"])),
    ("dup_link_over_dir", Outcome::Tree(&["a", "!a/x"])),
    // The image specification allows links into lower layers.
    ("link_lower", Outcome::Tree(&["f", "g"])),
    ("link_lower_dir", Outcome::Tree(&["d/lower", "d/g"])),
    // Old GNU sparse files.
    ("sparse_old", Outcome::Tree(&["a"])),
    ("sparse_old_ext", Outcome::Tree(&["a"])),
    // overlayfs shows the link count of the lower layer, in which there is another name.
    ("link_split_above", Outcome::Tree(&["h1", "h2"])),
    ("link_removed_above", Outcome::Tree(&["!h1", "h2"])),
    ("three_link_layers", Outcome::Tree(&["h1", "h2", "h3"])),
    // Docker puts its own directory in front, and then the path is too long.
    ("long_path_many", Outcome::Tree(&[])),
    // Attributes that would steer overlayfs.
    ("xattr_redirect", Outcome::Tree(&["x", "!x/lower"])),
];

#[derive(Clone, Copy)]
enum Outcome {
    Error(&'static str),
    /// Names that are there, and with `!` those that are not.
    Tree(&'static [&'static str]),
}

#[test]
fn trees_equal_dockers() {
    let mut wrong = Vec::new();
    for case in cases() {
        let name = case["name"].as_str().unwrap();
        let deviation = DEVIATIONS.iter().find(|(case, _)| *case == name);
        let result = unpack(&case);
        let verdict = match (deviation, case["tree"].as_array(), &result) {
            (Some((_, outcome)), _, result) => check(*outcome, result),
            (None, Some(expected), Ok(lines)) => compare(expected, lines),
            (None, None, Err(error)) => named(&case, error),
            (None, Some(_), Err(error)) => Err(format!("error: {error}")),
            (None, None, Ok(lines)) => {
                Err(format!("no error; docker: {}\n  {}", case["error"], lines.join("\n  ")))
            }
        };
        if let Err(problem) = verdict {
            wrong.push(format!("{name}: {problem}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn trees_survive_encoding() {
    for case in cases() {
        for layer in layers(&case) {
            let Ok(converted) = convert(&layer[..], &mut Vec::new(), &Limits::default()) else {
                continue;
            };
            let bytes = converted.tree.encode();
            assert_eq!(Tree::decode(&bytes).unwrap(), converted.tree);
            for at in (0..bytes.len()).step_by(7) {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x10;
                Tree::decode(&damaged).unwrap_err();
                Tree::decode(&bytes[..at]).unwrap_err();
            }
        }
    }
}

fn cases() -> Vec<Value> {
    include_str!("docker/recorded.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn layers(case: &Value) -> Vec<Vec<u8>> {
    let decode = |layer: &Value| {
        let packed =
            base64::Engine::decode(&base64::prelude::BASE64_STANDARD, layer.as_str().unwrap());
        let mut out = Vec::new();
        let packed = packed.unwrap();
        let mut reader =
            hull_layer::decompress(&packed[..], hull_layer::Compression::Gzip).unwrap();
        std::io::Read::read_to_end(&mut reader, &mut out).unwrap();
        out
    };
    case["layers"].as_array().unwrap().iter().map(decode).collect()
}

/// Returns lines as `record.py` writes them, or an error with its sources.
fn unpack(case: &Value) -> Result<Vec<String>, String> {
    let mut trees = Vec::new();
    let mut blobs = Vec::new();
    for layer in layers(case) {
        let mut blob = Vec::new();
        let converted =
            convert(&layer[..], &mut blob, &Limits::default()).map_err(|e| chain(&e))?;
        assert_eq!(converted.data_len, blob.len() as u64);
        assert_eq!(blob.len() % 4096, 0);
        assert_eq!(converted.diff_id.0, <[u8; 32]>::from(Sha256::digest(&layer)));
        trees.push(Arc::new(converted.tree));
        blobs.push(blob);
    }
    let merged: Merged = merge(&trees).map_err(|e| chain(&e))?;
    let mut lines: Vec<String> = merged.walk().map(|entry| line(&entry, &blobs)).collect();
    lines.sort();
    Ok(lines)
}

fn line(entry: &WalkEntry<'_>, blobs: &[Vec<u8>]) -> String {
    let WalkEntry { path, node, inode, .. } = entry;
    let (kind, detail) = match &inode.kind {
        Kind::BlockDevice(d) => ('b', format!("{},{}", d.major, d.minor)),
        Kind::CharDevice(d) => ('c', format!("{},{}", d.major, d.minor)),
        Kind::Directory(_) => ('d', String::new()),
        Kind::Fifo => ('p', String::new()),
        Kind::Symlink(target) => ('l', latin1(target)),
        Kind::File(file) => {
            let mut content = vec![0; file.size.next_multiple_of(4096) as usize];
            for e in &file.extents {
                content[e.offset as usize..][..e.len as usize]
                    .copy_from_slice(&blobs[node.layer][e.data as usize..][..e.len as usize]);
            }
            assert!(content[file.size as usize..].iter().all(|b| *b == 0));
            let hash = hex::encode(Sha256::digest(&content[..file.size as usize]));
            ('-', format!("{}:{}", file.size, &hash[..16]))
        }
    };
    let xattrs: Vec<String> = inode
        .xattrs
        .iter()
        .map(|x| format!("{}={}", latin1(&x.name), hex::encode(&x.value)))
        .collect();
    let nlink = if kind == 'd' { 0 } else { node.nlink };
    let fields = [
        latin1(path),
        kind.to_string(),
        format!("{:o}", inode.mode),
        inode.uid.to_string(),
        inode.gid.to_string(),
        format!("{}.{:09}", inode.mtime.sec, inode.mtime.nsec),
        nlink.to_string(),
        detail,
        xattrs.join(" "),
    ];
    fields.join("|").replace('\n', "\\n")
}

fn compare(expected: &[Value], lines: &[String]) -> Result<(), String> {
    let expected: BTreeSet<String> = expected
        .iter()
        .map(|line| line.as_str().unwrap().replace("|now|", "|0.000000000|"))
        .collect();
    let lines: BTreeSet<String> = lines.iter().cloned().collect();
    let missing: Vec<_> = expected.difference(&lines).collect();
    let extra: Vec<_> = lines.difference(&expected).collect();
    if missing.is_empty() && extra.is_empty() {
        return Ok(());
    }
    Err(format!("docker has {missing:#?}, not {extra:#?}"))
}

fn check(outcome: Outcome, result: &Result<Vec<String>, String>) -> Result<(), String> {
    match (outcome, result) {
        (Outcome::Error(part), Err(error)) if error.contains(part) => Ok(()),
        (Outcome::Tree(names), Ok(lines)) => {
            for name in names {
                let (absent, path) = match name.strip_prefix('!') {
                    Some(path) => (true, path),
                    None => (false, *name),
                };
                let found = lines.iter().any(|l| l.starts_with(&format!("{path}|")));
                if found == absent {
                    return Err(format!("{name} is wrong in {lines:#?}"));
                }
            }
            Ok(())
        }
        (_, result) => Err(format!("{result:?}")),
    }
}

/// Errors about an entry name it.
fn named(case: &Value, error: &str) -> Result<(), String> {
    let docker = &case["error"];
    if error.contains('`') || error.contains("its start") {
        return Ok(());
    }
    Err(format!("names no entry: {error}; docker: {docker}"))
}

fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |e| e.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}
