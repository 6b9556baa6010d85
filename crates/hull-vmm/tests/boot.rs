//! Boots the real kernel and agent. Skipped, with the reason, where something is missing.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use hull_vmm::qemu::probe::{Question, ask};
use hull_vmm::{
    Arch, Artifact, Choice, Configuration, DeviceSet, Disks, Machine, MachineType, PowerState,
    Shape, Vmm,
};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(30);

/// Returns kernel and agent from the directory that the environment names.
fn boot_files() -> Option<(Artifact, Artifact)> {
    let directory = std::env::var_os("HULL_TEST_LIB").or_else(|| std::env::var_os("HULL_LIB"));
    let Some(directory) = directory.map(PathBuf::from) else {
        println!("skipped: neither HULL_TEST_LIB nor HULL_LIB says where kernel and agent are");
        return None;
    };
    let files = ["vmlinux", "hull-init"].map(|name| Artifact::at(&directory.join(name)));
    let [Ok(kernel), Ok(agent)] = files else {
        println!("skipped: no vmlinux or hull-init in {}", directory.display());
        return None;
    };
    if hull_vmm::qemu::find(Arch::host()?).is_err() {
        println!("skipped: QEMU is not installed");
        return None;
    }
    Some((kernel, agent))
}

fn shape(kernel: Artifact, agent: Artifact, answer: &hull_vmm::qemu::probe::Answer) -> Shape {
    let arch = Arch::host().unwrap();
    Shape {
        arch,
        machine: MachineType::of(arch),
        kernel,
        agent,
        vmm: answer.qemu.version().to_string(),
        program: answer.program.clone(),
        accelerator: answer.accelerator,
        cpu: answer.accelerator.cpu_model(arch).to_owned(),
        host_cpu: answer.host_cpu.clone(),
        vcpus: 1,
        memory_mib: 256,
        devices: DeviceSet { balloon: true, ..DeviceSet::default() },
        clock: answer.clock,
        format: Shape::FORMAT,
    }
}

#[tokio::test]
async fn the_agent_opens_its_channel_and_the_machine_dies_when_told() {
    let Some((kernel, agent)) = boot_files() else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join("probe.json");
    let question = Question {
        cache: &cache,
        arch: Arch::host().unwrap(),
        program: None,
        choice: Choice::Auto,
        kernel: &kernel,
        agent: &agent,
    };
    let begin = Instant::now();
    let answer = ask(question).await.unwrap();
    println!("probe: {answer:?} in {:?}", begin.elapsed());
    let begin = Instant::now();
    assert_eq!(ask(question).await.unwrap().accelerator, answer.accelerator);
    println!("probe from memory: {:?}", begin.elapsed());

    let shape = shape(kernel.clone(), agent.clone(), &answer);
    let configuration = Configuration {
        name: "hull-test,with-comma".into(),
        working_dir: home.path().to_owned(),
        disks: Disks::default(),
    };
    let begin = Instant::now();
    let mut machine = answer.qemu.boot(&shape, configuration).await.unwrap();
    println!("spawned: {:?}", begin.elapsed());
    let mut console = machine.take_console().unwrap();
    let boot_log = tokio::spawn(async move {
        let mut log = Vec::new();
        let _ = console.read_to_end(&mut log).await;
        log
    });
    let mut channel = machine.take_channel().unwrap();
    let hello = b"{\"version\":1,\"software\":\"test\"}";
    let mut frame = (hello.len() as u32).to_le_bytes().to_vec();
    frame.extend_from_slice(&[0; 8]);
    frame.extend_from_slice(hello);
    tokio::io::AsyncWriteExt::write_all(&mut channel, &frame).await.unwrap();
    let mut answer = [0; 12];
    let read = timeout(SOON, channel.read_exact(&mut answer)).await;
    println!("hello: {:?}", begin.elapsed());
    if !matches!(read, Ok(Ok(12))) {
        machine.kill();
        let end = machine.wait().await;
        let log = boot_log.await.unwrap();
        panic!("no Hello: {end:?}\n{}", String::from_utf8_lossy(&log));
    }

    machine.pause().await.unwrap();
    assert_eq!(machine.power_state().await.unwrap(), PowerState::Paused);
    machine.resume().await.unwrap();
    assert_eq!(machine.power_state().await.unwrap(), PowerState::Running);
    machine.kill();
    let end = timeout(SOON, machine.wait()).await.unwrap();
    assert_eq!(end.signal, Some(9));
    assert_eq!(machine.wait().await, end);
    assert_eq!(machine.power_state().await.unwrap(), PowerState::Ended);
}
