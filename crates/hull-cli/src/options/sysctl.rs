//! `--sysctl`.

use std::collections::BTreeMap;

use crate::flags::Value;

/// Kernel parameters that belong to a namespace of the container.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Sysctls(pub(crate) BTreeMap<String, String>);

impl Value for Sysctls {
    fn set(&mut self, text: &str) -> Result<(), String> {
        let allowed = |key: &str| {
            NAMES.contains(&key) || PREFIXES.iter().any(|prefix| key.starts_with(prefix))
        };
        match text.split_once('=') {
            Some((key, value)) if allowed(key) => {
                self.0.insert(key.to_owned(), value.to_owned());
                Ok(())
            }
            _ => Err(format!("sysctl '{text}' is not allowed")),
        }
    }

    fn type_name(&self) -> &'static str {
        "map"
    }

    fn shown_default(&self) -> Option<String> {
        Some("map[]".into())
    }
}

const NAMES: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];
const PREFIXES: [&str; 2] = ["net.", "fs.mqueue."];
