//! What this engine is and has.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::container::state::Status;
use crate::durable::{self, Survives};
use crate::{Engine, Error, Result, doctor, host, random};

/// Version of Hull and of what it uses.
#[derive(Clone, Debug)]
pub struct Version {
    /// Of Hull, for example `0.1.0`.
    pub hull: &'static str,
    /// Of the host's kernel (`uname -r`).
    pub host_kernel: String,
    /// Version of the virtual machine monitor, if there is one.
    pub qemu: Option<String>,
    /// Docker's name of the host's architecture, for example `amd64`.
    pub architecture: &'static str,
    /// For example `linux`.
    pub os: &'static str,
}

/// What `docker info` asks for.
#[derive(Clone, Debug)]
pub struct Info {
    /// Stable name of this engine, a UUID kept in its state directory.
    pub id: String,
    pub root: PathBuf,
    pub containers: usize,
    pub running: usize,
    pub paused: usize,
    pub stopped: usize,
    pub images: usize,
    pub host_name: String,
    /// `PRETTY_NAME` of the host's os-release.
    pub operating_system: String,
    pub cpus: usize,
    /// Bytes of memory that the host has.
    pub memory: u64,
    /// Accelerator that machines use: `kvm`, `hvf` or `tcg`; `None` before the first machine.
    pub accelerator: Option<String>,
    pub version: Version,
}

impl Engine {
    /// Describes the engine and its host.
    ///
    /// # Errors
    /// The state directory cannot be read or written.
    pub async fn info(&self) -> Result<Info> {
        let all = self.inner.containers.all();
        let of = |wanted: Status| {
            let states = all.iter().map(|container| container.live().state.status);
            states.filter(|status| *status == wanted).count()
        };
        let (running, paused) = (of(Status::Running), of(Status::Paused));
        let uname = rustix::system::uname();
        Ok(Info {
            id: self.engine_id()?,
            root: self.inner.layout.root().to_owned(),
            containers: all.len(),
            running,
            paused,
            stopped: all.len() - running - paused,
            images: self.inner.store.images().len(),
            host_name: uname.nodename().to_string_lossy().into_owned(),
            operating_system: operating_system(),
            cpus: host::cpus() as usize,
            memory: host::memory(),
            accelerator: self.known_accelerator().await,
            version: self.version().await,
        })
    }

    /// Versions of Hull and of what it uses.
    pub async fn version(&self) -> Version {
        Version {
            hull: env!("CARGO_PKG_VERSION"),
            host_kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            qemu: doctor::qemu_version().await.ok().map(|(_, version)| version.to_string()),
            architecture: host::architecture(),
            os: std::env::consts::OS,
        }
    }

    /// Returns what has been found out about this host, if that has been asked before.
    async fn known_accelerator(&self) -> Option<String> {
        if !self.inner.layout.probe_cache().exists() {
            return None;
        }
        // Long enough to read the answer, not to try the host out anew.
        let answer = tokio::time::timeout(MEMORY_TIMEOUT, self.ask_probe()).await;
        Some(answer.ok()?.ok()?.accelerator.name().to_owned())
    }

    fn engine_id(&self) -> Result<String> {
        let path = self.inner.layout.engine_id();
        match fs::read_to_string(&path) {
            Ok(id) if !id.trim().is_empty() => return Ok(id.trim().to_owned()),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("read", &path)(error));
            }
            _ => {}
        }
        let id = uuid(random::bytes()?);
        durable::replace(&path, id.as_bytes(), Survives::Kill)
            .map_err(Error::file("write", &path))?;
        Ok(id)
    }
}

/// RFC 9562, version 4.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-")
}

/// os-release(5).
fn operating_system() -> String {
    let text = fs::read_to_string("/etc/os-release")
        .or_else(|_| fs::read_to_string("/usr/lib/os-release"))
        .unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    match name {
        Some(name) => name.trim_matches(['"', '\'']).to_owned(),
        None => std::env::consts::OS.to_owned(),
    }
}

const MEMORY_TIMEOUT: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_of_version_four() {
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
    }
}
