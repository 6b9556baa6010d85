//! Archives that were damaged or invented: conversion ends, and either refuses or gives a tree that
//! everything else can work with.

#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::sync::{Arc, LazyLock};

use hull_layer::{Compression, ConvertError, Limits, Tree, convert, decompress, merge};
use proptest::prelude::*;

static ARCHIVES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(archives);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn damaged_archives_never_panic(
        case in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
        fix in any::<bool>(),
    ) {
        let mut archive = case.get(&ARCHIVES).clone();
        for (at, byte) in changes {
            if !archive.is_empty() {
                let at = at.index(archive.len());
                archive[at] = byte;
            }
        }
        if let Some(cut) = cut {
            archive.truncate(cut.index(archive.len() + 1));
        }
        if fix {
            fix_checksums(&mut archive);
        }
        check(&archive);
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        check(&bytes);
        let mut headed = bytes;
        headed.resize(headed.len().next_multiple_of(512), 0);
        fix_checksums(&mut headed);
        check(&headed);
    }

    #[test]
    fn damaged_trees_never_panic(
        case in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let Ok(converted) = convert(&case.get(&ARCHIVES)[..], &mut Vec::new(), &Limits::default())
        else { return Ok(()) };
        let mut bytes = converted.tree.encode();
        for (at, byte) in changes {
            let at = 16 + at.index(bytes.len() - 16);
            bytes[at] = byte;
        }
        // A right checksum, so that what is behind it is tested.
        let crc = crc32c::crc32c(&bytes[16..]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        if let Ok(tree) = Tree::decode(&bytes) {
            let _ = merge(&[Arc::new(tree)]).map(|merged| merged.walk().count());
        }
    }
}

#[test]
fn limits_hold() {
    let unpacks = |a: &Vec<u8>| convert(&a[..], &mut std::io::sink(), &Limits::default()).is_ok();
    // The longest have extended headers.
    let archive = archives().into_iter().filter(unpacks).max_by_key(Vec::len).unwrap();
    let with = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        convert(&archive[..], &mut std::io::sink(), &limits).map(|_| ())
    };
    with(|_| ()).unwrap();
    let changes: [fn(&mut Limits); 6] = [
        |l| l.max_entries = 0,
        |l| l.max_tar_bytes = 1000,
        |l| l.max_content_bytes = 1,
        |l| l.max_path_bytes = 0,
        |l| l.max_header_bytes = 10,
        |l| l.max_metadata_bytes = 0,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(with(change).is_err(), "{number}");
    }
}

#[test]
fn endless_zeros_end() {
    let limits = {
        let mut limits = Limits::default();
        limits.max_tar_bytes = 64 << 20;
        limits
    };
    let result = convert(std::io::repeat(0), &mut std::io::sink(), &limits);
    assert!(matches!(result, Err(ConvertError::Archive { .. })), "{result:?}");
}

fn check(archive: &[u8]) {
    let mut limits = Limits::default();
    limits.max_content_bytes = 1 << 30;
    let Ok(converted) = convert(archive, &mut std::io::sink(), &limits) else {
        return;
    };
    let tree = Tree::decode(&converted.tree.encode()).unwrap();
    assert_eq!(tree, converted.tree);
    let tree = Arc::new(tree);
    if let Ok(merged) = merge(&[Arc::clone(&tree), tree]) {
        assert!(merged.walk().count() >= merged.nodes().len());
    }
}

/// Makes the checksum of every block right that could be a header.
fn fix_checksums(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(512) {
        if block.iter().all(|b| *b == 0) {
            continue;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// Returns the archives that were recorded with Docker.
fn archives() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for line in include_str!("docker/recorded.jsonl").lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        for layer in case["layers"].as_array().unwrap() {
            let packed =
                base64::Engine::decode(&base64::prelude::BASE64_STANDARD, layer.as_str().unwrap());
            let packed = packed.unwrap();
            let mut archive = Vec::new();
            let mut reader = decompress(&packed[..], Compression::Gzip).unwrap();
            reader.read_to_end(&mut archive).unwrap();
            out.push(archive);
        }
    }
    out
}
