//! Runs one container without a daemon, and shows where the time goes.
//!
//! ```text
//! supervise demo LIB IMAGE COMMAND...   LIB holds vmlinux and hull-init, IMAGE is an erofs disk
//! supervise supervisor DIR              what `hull supervisor DIR` is
//! ```

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{Write, stdout};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hull_supervisor::client::{Piece, spawn};
use hull_supervisor::control::Attach;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let names: Vec<_> = arguments.iter().filter_map(|it| it.to_str()).collect();
    match names.as_slice() {
        ["supervisor", dir] => {
            let control = std::io::stdin().as_fd().try_clone_to_owned()?;
            Ok(hull_supervisor::server::run(Path::new(dir), None, control)?)
        }
        ["demo", lib, image, command @ ..] if !command.is_empty() => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(demo(Path::new(lib), Path::new(image), command))
        }
        _ => Err("usage: supervise demo LIB IMAGE COMMAND...".into()),
    }
}

async fn demo(lib: &Path, image: &Path, command: &[&str]) -> Result<(), Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let dir = home.path().join("container");
    std::fs::create_dir(&dir)?;
    let launch = serde_json::json!({
        "container": "d".repeat(64),
        "machine": {
            "home": home.path(),
            "kernel": lib.join("vmlinux").canonicalize()?,
            "agent": lib.join("hull-init").canonicalize()?,
            "probe_cache": std::env::temp_dir().join("hull-supervise-probe.json"),
            "vcpus": 1,
            "memory": 256 << 20,
        },
        "disks": { "image": image.canonicalize()? },
        "spec": {
            "ociVersion": "1.2.0",
            "process": {
                "args": command,
                "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
                "cwd": "/",
            },
            "root": { "path": "rootfs" },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
            ],
            "linux": { "namespaces": [
                { "type": "pid" }, { "type": "mount" }, { "type": "uts" }, { "type": "ipc" },
            ]},
        },
        "discard": true,
    });
    std::fs::write(dir.join("launch.json"), launch.to_string())?;

    let hull: PathBuf = std::env::current_exe()?;
    let begin = Instant::now();
    let control = spawn(&hull, &dir, None).await?;
    let client = control.client();
    println!("listening  {:?}", begin.elapsed());
    let wants = Attach { stdout: true, stderr: true, ..Attach::default() };
    let mut attached = client.attach(wants).await?;
    let state = control.start().await;
    println!("started    {:?}", begin.elapsed());
    if let Err(error) = &state {
        println!("{error}\n{}", std::fs::read_to_string(dir.join("boot.log"))?);
    }
    while let Some(piece) = attached.output.next().await? {
        match piece {
            Piece::Data(_, bytes) => stdout().write_all(&bytes)?,
            Piece::Exit(exit) => println!("exit       {:?} {exit:?}", begin.elapsed()),
            Piece::InputClosed => {}
        }
    }
    let exit = client.wait().await?;
    println!("ended      {:?} {exit:?}", begin.elapsed());
    println!("{}", std::fs::read_to_string(dir.join("state.json"))?);
    Ok(())
}
