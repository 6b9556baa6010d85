//! Names of the files in a container's directory that belong to its supervisor.

/// [`crate::Launch`], JSON, written by the daemon before it starts the supervisor.
pub const LAUNCH: &str = "launch.json";
/// [`crate::State`], JSON, replaced atomically.
pub const STATE: &str = "state.json";
/// [`crate::health::Health`], JSON, replaced atomically; absent if health is not checked.
pub const HEALTH: &str = "health.json";
/// Held by flock(2) for as long as the supervisor lives.
pub const LOCK: &str = "lock";
/// Unix socket on which the supervisor serves [`crate::control::Operation`]s, mode 0600.
pub const SOCKET: &str = "sup.sock";
/// Console output of the guest's kernel and agent, size-capped.
pub const BOOT_LOG: &str = "boot.log";
/// Standard error of the supervisor itself, for faults that it cannot report otherwise.
pub const SUPERVISOR_LOG: &str = "supervisor.log";

/// [`crate::launch::WaitLaunch`], JSON, in the directory of a machine that waits for its container.
pub const WAIT: &str = "wait.json";

/// Unix socket in the directory of a zygote, where it is cloned, mode 0600.
pub const FORK_SOCKET: &str = "fork.sock";
/// Unix socket beside it, where copies of a container get what it has open of the host's directories, mode 0600.
pub const SHARES_SOCKET: &str = "shares.sock";
/// What clones need to know, in the directory of a zygote.
pub const ZYGOTE: &str = "zygote.json";
/// What a start writes of the memory of a zygote's clones, in its directory, as
/// [`hull_vmm::qemu::QemuMachine::written`] says it; absent as long as nobody knows.
pub const WRITTEN: &str = "written";
/// What a checkpoint is of, in its directory.
pub const CHECKPOINT: &str = "checkpoint.json";
/// Memory and devices of a machine, in the directory of a checkpoint.
pub const MACHINE: &str = "machine";
