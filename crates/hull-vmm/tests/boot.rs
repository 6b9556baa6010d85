//! Boots the real kernel and agent. Skipped, with the reason, where something is missing.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::time::{Duration, Instant};

use hull_vmm::{DeviceSet, Disks, Machine, PowerState, Vmm};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use common::Home;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_agent_opens_its_channel_and_the_machine_dies_when_told() {
    let Some(home) = Home::new() else {
        return;
    };
    let begin = Instant::now();
    let answer = home.probe().await;
    println!("probe: {answer:?} in {:?}", begin.elapsed());
    let begin = Instant::now();
    assert_eq!(home.probe().await.accelerator, answer.accelerator);
    println!("probe from memory: {:?}", begin.elapsed());

    let shape = home.shape(&answer, DeviceSet { balloon: true, ..DeviceSet::default() });
    let configuration = home.configuration(Disks::default());
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
