//! The compiled filters against a plain reading of the profile, and against the kernel.

use hull_spec::{Seccomp, Syscall, SyscallArg};
use proptest::prelude::*;

use crate::action::Action;
use crate::arch::{Abi, X32_BIT};
use crate::{Arch, Error, SockFilter, compile, docker_default, unknown_names};

const DEFAULT_CAPS: [&str; 2] = ["CAP_SYS_CHROOT", "CAP_KILL"];
const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;

/// `struct seccomp_data`.
#[derive(Clone, Copy, Debug)]
struct Call {
    number: u32,
    arch: u32,
    args: [u64; 6],
}

/// Runs a filter as the kernel's interpreter does; returns its value and how many instructions ran.
fn run(program: &[SockFilter], call: &Call) -> (u32, usize) {
    let word = |offset: u32| match offset {
        0 => call.number,
        4 => call.arch,
        _ => {
            assert!(offset >= 16 && offset.is_multiple_of(4) && offset < 64);
            let arg = call.args[(offset as usize - 16) / 8];
            if offset.is_multiple_of(8) { arg as u32 } else { (arg >> 32) as u32 }
        }
    };
    let (mut accumulator, mut at) = (0, 0);
    for steps in 1.. {
        let SockFilter { code, jt, jf, k } = program[at];
        at += 1;
        let jump = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            0x20 => accumulator = word(k),
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += jump(accumulator == k),
            0x25 => at += jump(accumulator > k),
            0x35 => at += jump(accumulator >= k),
            0x06 => return (k, steps),
            _ => panic!("instruction {code:#x}"),
        }
    }
    unreachable!()
}

/// What `profile` says about `call`, without any cleverness.
fn read(profile: &Seccomp, arch: Arch, call: &Call) -> u32 {
    let x32 = arch == Arch::X86_64 && call.arch == Abi::X86_64.audit() && call.number >= X32_BIT;
    let listed = |abi: Abi| profile.architectures.iter().any(|name| name == abi.name());
    let default = Action::parse(&profile.default_action, profile.default_errno_ret).unwrap().0;
    let forbids = !matches!(default & 0xffff_0000, 0x7fff_0000 | 0x7ffc_0000 | 0x7ff0_0000);
    let beyond = if forbids { ENOSYS } else { default };
    let abi = match arch.family().iter().find(|abi| abi.audit() == call.arch) {
        Some(_) if x32 && listed(Abi::X32) => Abi::X32,
        Some(_) if x32 && (forbids || call.number == u32::MAX) => return beyond,
        Some(_) if x32 => return 0,
        Some(abi) if *abi == arch.family()[0] || listed(*abi) => *abi,
        _ => return 0,
    };
    let argument = |index: u32| {
        let value = call.args[index as usize];
        if abi.wide() { value } else { value & 0xffff_ffff }
    };
    let holds = |arg: &SyscallArg| {
        let cut = |value: u64| {
            if abi.wide() { value } else { value & 0xffff_ffff }
        };
        let (left, right) = (argument(arg.index), cut(arg.value));
        match arg.op.as_str() {
            "SCMP_CMP_EQ" => left == right,
            "SCMP_CMP_NE" => left != right,
            "SCMP_CMP_LT" => left < right,
            "SCMP_CMP_LE" => left <= right,
            "SCMP_CMP_GE" => left >= right,
            "SCMP_CMP_GT" => left > right,
            _ => left & right == cut(arg.value_two) & right,
        }
    };
    let mut conditional = None;
    let (mut last, mut named) = (None, false);
    for rule in &profile.syscalls {
        let action = Action::parse(&rule.action, rule.errno_ret).unwrap().0;
        for name in &rule.names {
            let number = abi.number(name);
            last = last.max(number.filter(|n| abi != Abi::Arm || *n < 0xf0000));
            named |= number == Some(call.number);
            if action == default {
                continue;
            }
            if number == Some(call.number) {
                if rule.args.is_empty() {
                    return action;
                }
                let same = (0..6).any(|i| rule.args.iter().filter(|a| a.index == i).count() > 1);
                let all = rule.args.iter().all(holds);
                let any = rule.args.iter().any(holds);
                if conditional.is_none() && (all || (same && any)) {
                    conditional = Some(action);
                }
            }
            if let Some((carrier, value)) = abi.multiplexed(name)
                && rule.args.is_empty()
                && abi.number(carrier) == Some(call.number)
                && argument(0) == u64::from(value)
                && conditional.is_none()
            {
                conditional = Some(action);
            }
        }
    }
    conditional.unwrap_or(match last {
        _ if named => default,
        Some(last) if call.number <= last => default,
        _ => beyond,
    })
}

fn interesting_arguments() -> Vec<u64> {
    let mut values = vec![0, 1, 8, 37, 38, 39, 40, 41, 0x2_0000, 0x2_0008, 0x7e02_0000];
    values.extend([0x1000_0000, 0x01e0_f011, 0xffff_ffff, 1 << 32, (1 << 32) + 40, u64::MAX]);
    values
}

fn agrees(profile: &Seccomp, guest: Arch) {
    let program = compile(profile, guest).unwrap();
    let audits = [0xc000_003e, 0x4000_0003, 0xc000_00b7, 0x4000_0028, 0];
    let numbers = (0..1100)
        .chain(X32_BIT..X32_BIT + 700)
        .chain([0xeffff, 0xf0000, 0xf0001, 0xf0002, 0xf0005, 0xf0006, 0xf0007])
        .chain([X32_BIT - 1, u32::MAX - 1, u32::MAX]);
    let conditional = |number| {
        let rules = profile.syscalls.iter().filter(|rule| !rule.args.is_empty());
        let mut names = rules.flat_map(|rule| &rule.names);
        names.any(|name| guest.family().iter().any(|abi| abi.number(name) == Some(number)))
    };
    for number in numbers {
        let values = match conditional(number) {
            true => interesting_arguments(),
            false => vec![1],
        };
        for arch in audits {
            for value in &values {
                let call = Call { number, arch, args: [*value; 6] };
                assert_eq!(run(&program, &call).0, read(profile, guest, &call), "{call:x?}");
            }
        }
    }
}

#[test]
fn the_default_profile_compiles_to_what_it_says() {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        agrees(&docker_default(arch, &DEFAULT_CAPS), arch);
        agrees(&docker_default(arch, &["CAP_SYS_ADMIN", "CAP_BPF", "CAP_SYS_PTRACE"]), arch);
    }
}

#[test]
fn the_default_profile_is_short_and_fast() {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let profile = docker_default(arch, &DEFAULT_CAPS);
        let program = compile(&profile, arch).unwrap();
        assert!(program.len() < 700, "{} instructions", program.len());
        let native = arch.family()[0];
        let steps: Vec<_> = profile.syscalls[0]
            .names
            .iter()
            .filter_map(|name| native.number(name))
            .map(|number| run(&program, &Call { number, arch: native.audit(), args: [0; 6] }).1)
            .collect();
        assert!(*steps.iter().max().unwrap() <= 14, "{steps:?}");
    }
}

#[test]
fn what_the_default_profile_means() {
    let x86_64 = 0xc000_003e;
    let program = compile(&docker_default(Arch::X86_64, &DEFAULT_CAPS), Arch::X86_64).unwrap();
    for (number, arch, arg, value) in [
        (0, x86_64, 0, ALLOW),
        (41, x86_64, 1, ALLOW),            // socket(AF_UNIX)
        (41, x86_64, 38, EPERM),           // socket(AF_ALG)
        (41, x86_64, 40, EPERM),           // socket(AF_VSOCK)
        (56, x86_64, 0x0120_0011, ALLOW),  // clone() of fork
        (56, x86_64, 0x1000_0000, EPERM),  // clone(CLONE_NEWUSER)
        (435, x86_64, 0, ENOSYS),          // clone3
        (165, x86_64, 0, EPERM),           // mount
        (161, x86_64, 0, ALLOW),           // chroot
        (101, x86_64, 0, ALLOW),           // ptrace
        (9999, x86_64, 0, ENOSYS),         // newer than the profile
        (135, x86_64, 0xffff_ffff, ALLOW), // personality
        (135, x86_64, 0x40000, EPERM),     // personality(ADDR_NO_RANDOMIZE)
        (4, 0x4000_0003, 0, ALLOW),        // write of i386
        (21, 0x4000_0003, 0, EPERM),       // mount of i386
        (X32_BIT + 1, x86_64, 0, ALLOW),   // write of x32
        (64, 0xc000_00b7, 0, 0),           // another machine's: killed
    ] {
        let call = Call { number, arch, args: [arg; 6] };
        assert_eq!(run(&program, &call).0, value, "{call:x?}");
    }
    let aarch64 = compile(&docker_default(Arch::Aarch64, &DEFAULT_CAPS), Arch::Aarch64).unwrap();
    for number in [56, 79, 222, 291] {
        // openat, newfstatat, mmap, statx
        let call = Call { number, arch: 0xc000_00b7, args: [0; 6] };
        assert_eq!(run(&aarch64, &call).0, ALLOW, "{number}");
    }
}

#[test]
fn names_that_no_interface_has_are_reported() {
    let mut unknown = unknown_names_of_default(Arch::X86_64);
    unknown.sort_unstable();
    assert_eq!(unknown, ["riscv_hwprobe"]);
    let unknown = unknown_names_of_default(Arch::Aarch64);
    assert!(unknown.contains(&"epoll_wait_old".to_owned()));
    assert!(!unknown.contains(&"newfstatat".to_owned()));
}

fn unknown_names_of_default(arch: Arch) -> Vec<String> {
    let profile = docker_default(arch, &DEFAULT_CAPS);
    unknown_names(&profile, arch).into_iter().map(Into::into).collect()
}

#[test]
fn nonsense_is_refused() {
    let profile = |action: &str, op: &str, index, errno_ret| Seccomp {
        default_action: "SCMP_ACT_ALLOW".into(),
        syscalls: vec![Syscall {
            names: vec!["read".into()],
            action: action.into(),
            errno_ret,
            args: vec![SyscallArg { index, op: op.into(), ..SyscallArg::default() }],
        }],
        ..Seccomp::default()
    };
    let errno = "SCMP_ACT_ERRNO";
    let compiled = |profile| compile(&profile, Arch::X86_64);
    let eq = "SCMP_CMP_EQ";
    assert!(compiled(profile(errno, eq, 5, Some(4095))).is_ok());
    assert!(matches!(compiled(profile("ERRNO", eq, 0, None)), Err(Error::UnknownAction(_))));
    assert!(matches!(compiled(profile(errno, "EQ", 0, None)), Err(Error::UnknownOperator(_))));
    assert!(matches!(compiled(profile(errno, eq, 6, None)), Err(Error::ArgumentIndex(6))));
    assert!(matches!(compiled(profile(errno, eq, 0, Some(4096))), Err(Error::ErrnoRange(4096))));
    let notify = profile("SCMP_ACT_NOTIFY", eq, 0, None);
    assert!(matches!(compiled(notify), Err(Error::Listener(_))));
    let mut flagged = profile(errno, eq, 0, None);
    flagged.flags = vec!["SECCOMP_FILTER_FLAG_LOG".into()];
    assert!(matches!(compiled(flagged), Err(Error::Flag(_))));
    let mut alien = profile(errno, eq, 0, None);
    alien.architectures = vec!["SCMP_ARCH_VAX".into()];
    assert!(matches!(compiled(alien), Err(Error::UnknownArchitecture(_))));
    let mut long = profile(errno, eq, 0, None);
    long.syscalls = (0..3000)
        .map(|value| {
            let mut rule = long.syscalls[0].clone();
            rule.args[0].value = value;
            rule
        })
        .collect();
    assert!(matches!(compiled(long), Err(Error::TooLong(_))));
}

prop_compose! {
    fn condition()(
        index in 0u32..3,
        op in prop::sample::select(&[
            "SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_GE",
            "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ",
        ][..]),
        value in value(),
        value_two in value(),
    ) -> SyscallArg {
        SyscallArg { index, value, value_two, op: op.into() }
    }
}

/// Values near each other in both halves, so that comparisons go either way.
fn value() -> impl Strategy<Value = u64> {
    let half = prop_oneof![0u64..4, Just(0x7fff_ffff), Just(0x8000_0000), Just(0xffff_ffff)];
    (half.clone(), half).prop_map(|(high, low)| high << 32 | low)
}

const NAMES: [&str; 12] = [
    "read",
    "write",
    "socket",
    "accept4",
    "semop",
    "socketcall",
    "clone",
    "openat2",
    "umount",
    "cacheflush",
    "ioctl",
    "no_such_call",
];

fn action() -> impl Strategy<Value = (&'static str, Option<u32>)> {
    prop_oneof![
        Just(("SCMP_ACT_ALLOW", None)),
        Just(("SCMP_ACT_KILL_PROCESS", None)),
        Just(("SCMP_ACT_LOG", None)),
        (0u32..4).prop_map(|errno| ("SCMP_ACT_ERRNO", Some(errno))),
        Just(("SCMP_ACT_ERRNO", None)),
    ]
}

prop_compose! {
    fn rule()(
        names in prop::collection::vec(prop::sample::select(&NAMES[..]), 1..4),
        (action, errno_ret) in action(),
        args in prop::collection::vec(condition(), 0..4),
    ) -> Syscall {
        Syscall {
            names: names.into_iter().map(Into::into).collect(),
            action: action.into(),
            errno_ret,
            args,
        }
    }
}

prop_compose! {
    fn profile()(
        (default, errno) in action(),
        architectures in prop::sample::subsequence(vec![
            "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM", "SCMP_ARCH_MIPS",
        ], 0..=5),
        syscalls in prop::collection::vec(rule(), 0..40),
    ) -> Seccomp {
        Seccomp {
            default_action: default.into(),
            default_errno_ret: errno,
            architectures: architectures.into_iter().map(Into::into).collect(),
            flags: vec![],
            syscalls,
        }
    }
}

proptest! {
    #[test]
    fn any_profile_compiles_to_what_it_says(
        profile in profile(),
        arch in prop::sample::select(&[Arch::X86_64, Arch::Aarch64][..]),
        calls in prop::collection::vec(
            (
                prop::sample::select(&NAMES[..]),
                0usize..5,
                prop::array::uniform6(value()),
                prop_oneof![4 => Just(None), 1 => any::<u32>().prop_map(Some)],
            ),
            50,
        ),
    ) {
        let program = compile(&profile, arch).unwrap();
        let abis = [Abi::X86_64, Abi::X86, Abi::X32, Abi::Aarch64, Abi::Arm];
        for (name, abi, args, other) in calls {
            let abi = abis[abi];
            let number = other.or_else(|| abi.number(name)).unwrap_or(500);
            let call = Call { number, arch: abi.audit(), args };
            prop_assert_eq!(run(&program, &call).0, read(&profile, arch, &call), "{:x?}", call);
        }
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod native {
    use super::*;

    /// Loads the default profile in a child and makes system calls there.
    #[test]
    #[allow(unsafe_code)]
    fn the_kernel_accepts_and_obeys_the_default_profile() {
        let program = compile(&docker_default(Arch::X86_64, &DEFAULT_CAPS), Arch::X86_64).unwrap();
        let prog = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_ptr() as *mut libc::sock_filter,
        };
        // SAFETY: the child makes system calls only, and leaves by _exit; `program` outlives it.
        let status = unsafe {
            let child = libc::fork();
            assert!(child >= 0);
            if child == 0 {
                libc::_exit(in_child(&prog));
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            status
        };
        assert!(libc::WIFEXITED(status), "status {status:#x}");
        assert_eq!(libc::WEXITSTATUS(status), 0, "number of the check that failed");
    }

    /// SAFETY: async-signal-safe calls only.
    #[allow(unsafe_code)]
    unsafe fn in_child(prog: &libc::sock_fprog) -> i32 {
        // SAFETY: `prog` points to a valid filter; the other calls take plain numbers.
        unsafe {
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
                return 1;
            }
            let prog: *const libc::sock_fprog = prog;
            if libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, prog) != 0 {
                return 2;
            }
            let fails_with = |number: libc::c_long, argument: u64, errno: i32| {
                libc::syscall(number, argument, 0, 0, 0) == -1 && *libc::__errno_location() == errno
            };
            if libc::syscall(libc::SYS_getpid) <= 0 {
                return 3;
            }
            if !fails_with(libc::SYS_clone3, 0, libc::ENOSYS) {
                return 4;
            }
            if !fails_with(libc::SYS_unshare, 0x1000_0000, libc::EPERM) {
                return 5;
            }
            if !fails_with(libc::SYS_socket, 40, libc::EPERM) {
                return 6;
            }
            if !fails_with(libc::SYS_clone, 0x1000_0000, libc::EPERM) {
                return 7;
            }
            if !fails_with(900, 0, libc::ENOSYS) {
                return 8;
            }
            let socket = libc::syscall(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0);
            if socket < 0 {
                return 9;
            }
            0
        }
    }
}
