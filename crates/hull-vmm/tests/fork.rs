//! Templates and forks of the real kernel and agent. Skipped, with the reason, where something is
//! missing.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use hull_vmm::{
    DeviceSet, Disk, Disks, Exchange, ForkError, Machine, Qemu, SaveError, Shape, Slot, Snapshot,
    Vmm,
};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use common::{Guest, Home, SOON, descriptor, grow};

type QemuMachine = <Qemu as Vmm>::Machine;

const DEVICES: DeviceSet =
    DeviceSet { image: true, scratch: true, kept: true, balloon: true, spare_ports: 0 };

/// A template of a machine whose agent has been greeted.
struct Template {
    home: Home,
    qemu: Qemu,
    shape: Shape,
    memory: PathBuf,
    state: Vec<u8>,
}

impl Template {
    async fn new() -> Option<Self> {
        let home = Home::new()?;
        if !home.lib.join("libhull_remap.so").exists() {
            println!("skipped: no libhull_remap.so in {}", home.lib.display());
            return None;
        }
        let answer = home.probe().await;
        let (qemu, shape) = (home.qemu(&answer), home.shape(&answer, DEVICES));
        let memory = home.path().join("memory");
        let scratch = home.path().join("scratch");
        File::create(&scratch).unwrap();
        grow(&scratch);
        let disks = Disks { scratch: Disk::at(scratch), ..Disks::default() };
        let begin = Instant::now();
        let configuration = home.configuration(disks);
        let mut machine = qemu.boot_template(&shape, configuration, &memory).await.unwrap();
        drain(&mut machine);
        Guest::new(machine.take_channel().unwrap()).greet().await;
        println!("booted: {:?}", begin.elapsed());
        let begin = Instant::now();
        let state = timeout(SOON, machine.save()).await.unwrap().unwrap();
        println!("saved: {:?}, {} bytes", begin.elapsed(), state.len());
        machine.kill();
        machine.wait().await;
        let allocated = memory.metadata().unwrap().blocks() * 512;
        assert!(allocated < shape.memory_bytes() / 2, "{allocated} bytes allocated");
        Some(Self { home, qemu, shape, memory, state })
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            memory: File::open(&self.memory).unwrap().into(),
            state: self.state.clone().into(),
        }
    }

    /// Forks a machine and waits until it runs.
    async fn fork(&self) -> (QemuMachine, Guest) {
        let begin = Instant::now();
        let configuration = self.home.configuration(Disks::default());
        let machine = self.qemu.fork(&self.shape, configuration, self.snapshot()).await;
        let mut machine = machine.unwrap();
        drain(&mut machine);
        timeout(SOON, machine.resumed()).await.unwrap().unwrap();
        println!("resumed: {:?}", begin.elapsed());
        let guest = Guest::new(machine.take_channel().unwrap());
        (machine, guest)
    }

    /// Forks a machine that fails and returns why.
    async fn failure(&self, qemu: &Qemu, snapshot: Snapshot) -> ForkError {
        let configuration = self.home.configuration(Disks::default());
        match qemu.fork(&self.shape, configuration, snapshot).await {
            Ok(mut machine) => {
                drain(&mut machine);
                let failure = timeout(SOON, machine.resumed()).await.unwrap().unwrap_err();
                assert!(!Path::new(&format!("/proc/{}", machine.pid().unwrap())).exists());
                failure
            }
            Err(failure) => failure,
        }
    }

    fn digest(&self) -> String {
        let mut file = File::open(&self.memory).unwrap();
        let mut digest = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer).unwrap() {
                0 => return format!("{:x?}", digest.finalize()),
                read => digest.update(&buffer[..read]),
            }
        }
    }
}

#[tokio::test]
async fn forks_have_their_own_memory_disks_and_identity() {
    let Some(template) = Template::new().await else {
        return;
    };
    let digest = template.digest();
    let (Some(one), Some(two)) = (template.home.image("one"), template.home.image("two")) else {
        return;
    };
    let one = descriptor(&one);
    grow(&two);

    let ((mut first, mut guest), (mut second, mut sibling)) =
        tokio::join!(template.fork(), template.fork());
    first.attach_disk(Slot::Image, &Disk::at(&one)).await.unwrap();
    second.attach_disk(Slot::Image, &Disk::at(&two)).await.unwrap();
    guest.configure("first").await;
    sibling.configure("second").await;
    let script = "cat /etc/text; echo; hostname; head -c 16 /dev/urandom | md5sum";
    let said = guest.run("a", script, false).await;
    let sibling_said = sibling.run("a", script, false).await;
    println!("{said}{sibling_said}");
    assert!(said.starts_with("one\nfirst\n"), "{said}");
    assert!(sibling_said.starts_with("two\nsecond\n"), "{sibling_said}");
    assert_ne!(said.lines().nth(2), sibling_said.lines().nth(2));

    // The image is not mounted any more, and another can take its place.
    let begin = Instant::now();
    first.attach_disk(Slot::Image, &Disk::at(&two)).await.unwrap();
    println!("exchanged: {:?}", begin.elapsed());
    assert_eq!(guest.run("b", "cat /etc/text", false).await, "two");

    let before = resident_mib(&first);
    let fill = "dd if=/dev/zero of=/tmp/fill bs=1M count=150 2>/dev/null; wc -c < /tmp/fill";
    assert_eq!(guest.run("c", fill, false).await.trim(), (150 << 20).to_string());
    let begin = Instant::now();
    let mut after = resident_mib(&first);
    while after > before + 64 && begin.elapsed() < Duration::from_secs(15) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        after = resident_mib(&first);
    }
    println!("resident: {before} MiB, {after} MiB again after {:?}", begin.elapsed());
    assert!(after <= before + 64, "{after} MiB are resident, {before} MiB were");

    // What is saved of a fork has no memory in it, either.
    let state = second.save().await.unwrap();
    assert!(state.len() < 1 << 20, "{} bytes", state.len());
    second.resume().await.unwrap();
    assert_eq!(sibling.run("b", "cat /etc/text", false).await, "two");

    drop(second);
    assert_eq!(template.digest(), digest);
    let (_third, mut guest) = template.fork().await;
    guest.configure("third").await;
}

#[tokio::test]
async fn writable_disks_are_exchanged() {
    let Some(template) = Template::new().await else {
        return;
    };
    let Some(image) = template.home.image("one") else {
        return;
    };
    grow(&image);
    let [scratch, kept] = ["scratch.ext4", "kept.ext4"].map(|name| template.home.path().join(name));
    for path in [&scratch, &kept] {
        let file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        let options = hull_ext4::Options::new(hull_vmm::disk::DISK_BYTES, [7; 16]);
        hull_ext4::format(&file, &options).unwrap();
    }
    let (mut machine, mut guest) = template.fork().await;
    machine.attach_disk(Slot::Image, &Disk::at(&image)).await.unwrap();
    machine.attach_disk(Slot::Scratch, &Disk::at(&scratch)).await.unwrap();
    machine.attach_disk(Slot::Kept, &Disk::at(&kept)).await.unwrap();
    guest.configure("guest").await;
    let allocated = scratch.metadata().unwrap().blocks();
    let script = "head -c 10m /dev/urandom > /file; sync; echo done";
    assert_eq!(guest.run("a", script, true).await, "done\n");
    assert!(scratch.metadata().unwrap().blocks() > allocated + 10 * 2048);

    // Small, missing and unknown disks are refused, and the old one stays.
    let small = template.home.path().join("small");
    std::fs::write(&small, "x").unwrap();
    assert!(machine.attach_disk(Slot::Scratch, &Disk::at(&small)).await.is_err());
    assert!(machine.attach_disk(Slot::Scratch, &Disk::at("/nonexistent")).await.is_err());
    std::fs::write(small.with_extension("vmdk"), "no descriptor").unwrap();
    let error = machine.attach_disk(Slot::Scratch, &Disk::at(small.with_extension("vmdk"))).await;
    println!("{:?}", error.unwrap_err());
    assert_eq!(guest.run("b", "head -c 10m /dev/urandom | md5sum", true).await.len(), 36);

    // Nothing of a machine holds a disk that was taken away.
    machine.attach_disk(Slot::Scratch, &Disk::Placeholder).await.unwrap();
    let fds = std::fs::read_dir(format!("/proc/{}/fd", machine.pid().unwrap())).unwrap();
    let mut targets = fds.map(|fd| std::fs::read_link(fd.unwrap().path()).unwrap_or_default());
    assert!(!targets.any(|target| target == scratch || target == template.memory));
}

#[tokio::test]
async fn a_machine_is_cloned_with_what_it_has_in_memory_and_another_disk() {
    let Some(template) = Template::new().await else {
        return;
    };
    let Some(image) = template.home.image("one") else {
        return;
    };
    grow(&image);
    let [disk, copy, second] =
        ["scratch.ext4", "copy.ext4", "second.ext4"].map(|name| template.home.path().join(name));
    let file = File::options().read(true).write(true).create_new(true).open(&disk).unwrap();
    let options = hull_ext4::Options::new(hull_vmm::disk::DISK_BYTES, [7; 16]);
    hull_ext4::format(&file, &options).unwrap();
    let (mut machine, mut guest) = template.fork().await;
    machine.attach_disk(Slot::Image, &Disk::at(&image)).await.unwrap();
    machine.attach_disk(Slot::Scratch, &Disk::at(&disk)).await.unwrap();
    guest.configure("original").await;
    let write = "hostname; echo kept > /tmp/memory; sync; echo written";
    assert_eq!(guest.run("a", write, true).await, "original\nwritten\n");

    // Which must stand still: what it does while it is copied would be in both or in none.
    machine.pause().await.unwrap();
    for path in [&copy, &second] {
        let copied = Command::new("cp").arg("--sparse=always").args([&disk, path]).status();
        assert!(copied.unwrap().success());
    }
    let begin = Instant::now();
    let twin = machine.twin("twin", vec![exchange(&disk, &copy)]).await;
    let mut twin = twin.unwrap();
    println!("cloned: {:?}", begin.elapsed());
    let pids = [machine.pid().unwrap(), twin.pid().unwrap()];
    assert_ne!(pids[0], pids[1]);
    // One that answers has exchanged what it shares.
    assert_eq!(twin.power_state().await.unwrap(), hull_vmm::PowerState::Paused);
    let fds = std::fs::read_dir(format!("/proc/{}/fd", pids[1])).unwrap();
    let open: Vec<_> = fds.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok()).collect();
    assert!(open.contains(&copy) && !open.contains(&disk), "{open:?}");

    // One is asked by its owner, another by whoever finds its socket.
    let socket = template.home.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let original = twin.offer(listener.into()).await.unwrap();
    let connect = || {
        let stream = std::os::unix::net::UnixStream::connect(&socket)?;
        stream.set_nonblocking(true).map(|()| stream)
    };
    let files = vec![exchange(&copy, &second)];
    let list = template.home.path().join("written");
    let ranges = twin.written().unwrap();
    assert!(!ranges.is_empty() && ranges.len() % 16 == 0, "{} bytes", ranges.len());
    // A range that is not there does no harm.
    std::fs::write(&list, [ranges, vec![0xff; 16]].concat()).unwrap();
    let written = File::open(&list).unwrap().into();
    let third = QemuMachine::clone_of(&original, connect, "other", files, Some(written)).await;
    let mut third = third.unwrap();
    let own = |machine: &QemuMachine| machine.written().unwrap().len();
    assert!(own(&third) > 0, "it has no page of its own");
    third.rename("third").await.unwrap();
    let command = std::fs::read_to_string(format!("/proc/{}/cmdline", third.pid().unwrap()));
    assert!(command.unwrap().contains("\0third\0"), "it is called something else");

    // One that cannot be given its disk ends before it does anything, and costs nobody else.
    let not_open = vec![exchange(&template.memory, &second)];
    let mut bogus = machine.twin("bogus", not_open).await.unwrap();
    println!("not open: {}", bogus.resume().await.unwrap_err());
    timeout(SOON, bogus.wait()).await.unwrap();

    machine.resume().await.unwrap();
    twin.resume().await.unwrap();
    third.resume().await.unwrap();
    let script = "hostname; head -c 9m /dev/zero | wc -c";
    let mut guests = Vec::new();
    for (clone, name) in [(&mut twin, "twin"), (&mut third, "third")] {
        drain(clone);
        let mut guest = Guest::new(clone.take_channel().unwrap());
        guest.configure(name).await;
        assert_eq!(guest.run(name, script, true).await, format!("{name}\n9437184\n"));
        guests.push(guest);
    }
    assert_eq!(guest.run("b", script, true).await, "original\n9437184\n");

    // They do not need each other.
    for machine in [&mut machine, &mut twin] {
        machine.kill();
        machine.wait().await;
    }
    assert_eq!(guests[1].run("c", script, true).await, "third\n9437184\n");
    let pid = third.pid().unwrap();
    drop(third);
    let gone = async {
        while Path::new(&format!("/proc/{pid}/exe")).exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, gone).await.unwrap();
}

/// Has a clone open `new` in place of `old`.
fn exchange(old: &Path, new: &Path) -> Exchange {
    let open = |path| File::options().read(true).write(true).open(path).unwrap().into();
    Exchange { old: open(old), new: open(new) }
}

#[tokio::test]
async fn what_cannot_be_forked_is_refused_and_leaves_nothing() {
    let Some(mut template) = Template::new().await else {
        return;
    };
    let qemu = template.qemu.clone();

    let missing = qemu.clone().with_library("/nonexistent/lib.so".into());
    let failure = template.failure(&missing, template.snapshot()).await;
    assert!(failure.to_string().contains("/nonexistent/lib.so"), "{failure}");

    let bogus = template.home.path().join("bogus.so");
    std::fs::write(&bogus, "no library").unwrap();
    let failure = template.failure(&qemu.clone().with_library(bogus), template.snapshot()).await;
    assert!(matches!(failure, ForkError::NotRemapped(_)), "{failure:?}");

    let mut snapshot = template.snapshot();
    snapshot.memory = File::options().read(true).write(true).open(&template.memory).unwrap().into();
    let failure = template.failure(&qemu, snapshot).await;
    assert!(matches!(failure, ForkError::MemoryWritable), "{failure:?}");

    for length in [0, 100, template.state.len() / 2] {
        let mut snapshot = template.snapshot();
        snapshot.state.truncate(length);
        let failure = template.failure(&qemu, snapshot).await;
        println!("{length} bytes of state: {failure}");
        assert!(matches!(failure, ForkError::Ended(_)), "{failure:?}");
    }

    template.shape.devices.kept = false;
    let failure = template.failure(&qemu, template.snapshot()).await;
    println!("another shape: {failure}");
    assert!(matches!(failure, ForkError::Ended(_)), "{failure:?}");
}

#[tokio::test]
async fn a_machine_with_a_vmdk_cannot_be_saved_and_goes_on() {
    let Some(home) = Home::new() else {
        return;
    };
    let Some(image) = home.image("one") else {
        return;
    };
    let answer = home.probe().await;
    let shape = home.shape(&answer, DeviceSet { image: true, ..DeviceSet::default() });
    let disks = Disks { image: Disk::at(descriptor(&image)), ..Disks::default() };
    let memory = home.path().join("memory");
    let configuration = home.configuration(disks);
    let mut machine = answer.qemu.boot_template(&shape, configuration, &memory).await.unwrap();
    drain(&mut machine);
    let mut guest = Guest::new(machine.take_channel().unwrap());
    guest.greet().await;
    let error = machine.save().await.unwrap_err();
    assert!(matches!(error, SaveError::Blocked(_)), "{error:?}");
    guest.configure("guest").await;

    machine.attach_disk(Slot::Image, &Disk::Placeholder).await.unwrap();
    assert!(!machine.save().await.unwrap().is_empty());
    machine.resume().await.unwrap();
    guest.configure("guest").await;
}

/// Reads the machine's console, or the guest would stop.
fn drain(machine: &mut QemuMachine) {
    let mut console = machine.take_console().unwrap();
    tokio::spawn(async move { tokio::io::copy(&mut console, &mut tokio::io::sink()).await });
}

/// Returns how much memory of the host the machine's process has.
fn resident_mib(machine: &QemuMachine) -> u64 {
    let path = format!("/proc/{}/status", machine.pid().unwrap());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}
