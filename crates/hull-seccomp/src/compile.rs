//! From an OCI profile to classic BPF.

use hull_spec::Seccomp;

use crate::action::Action;
use crate::arch::{Abi, X32_BIT};
use crate::bpf::{
    AND, ARCH, Builder, JUMP_EQUAL, JUMP_GREATER, JUMP_GREATER_OR_EQUAL, LOAD, Label, NUMBER,
    SockFilter, argument,
};
use crate::table::{Condition, Decision, Table, Test};
use crate::{Arch, Error};

/// `BPF_MAXINSNS` of `linux/bpf_common.h`.
pub(crate) const MAX_LENGTH: usize = 4096;

/// Compiles `profile` for a kernel of architecture `arch`, with libseccomp's and runc's meaning:
///
/// - the native interface is always covered, others only where the profile names them; calls of
///   those that it does not name kill the thread;
/// - names of system calls that an interface does not have are skipped (see [`unknown_names`]);
/// - a rule without conditions beats rules with conditions; of those the first that holds decides;
/// - calls newer than all that the profile names return `ENOSYS` if it forbids by default.
pub fn compile(profile: &Seccomp, arch: Arch) -> Result<Vec<SockFilter>, Error> {
    for flag in &profile.flags {
        match flag.as_str() {
            // Both without effect on a process of one thread that sets no speculation controls.
            "SECCOMP_FILTER_FLAG_TSYNC" | "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => {}
            _ => return Err(Error::Flag(flag.clone())),
        }
    }
    let covered = covered(profile, arch)?;
    let mut builder = Builder::default();
    let kill = builder.ret(Action::KILL_THREAD.0);

    // Written backwards: the native interface comes last, so it is first in the program.
    let mut next = kill;
    for abi in arch.family().iter().rev() {
        if !covered.contains(abi) || *abi == Abi::X32 {
            continue;
        }
        let table = Table::new(profile, *abi)?;
        let mut body = search(&mut builder, &table.ranges, table.wide);
        if *abi == Abi::X86_64 {
            let x32 = if covered.contains(&Abi::X32) {
                let table = Table::new(profile, Abi::X32)?;
                search(&mut builder, &table.ranges, table.wide)
            } else {
                match Action::beyond(profile)? {
                    Action::ENOSYS => builder.ret(Action::ENOSYS.0),
                    // A tracer skips a call by making its number -1: no call of x32.
                    default => {
                        let skipped = builder.ret(default.0);
                        builder.branch(JUMP_EQUAL, u32::MAX, skipped, kill)
                    }
                }
            };
            body = builder.branch(JUMP_GREATER_OR_EQUAL, X32_BIT, x32, body);
        }
        let body = builder.step(LOAD, NUMBER, body);
        next = builder.branch(JUMP_EQUAL, abi.audit(), body, next);
    }
    let start = builder.step(LOAD, ARCH, next);
    let program = builder.finish(start);
    if program.len() > MAX_LENGTH {
        return Err(Error::TooLong(program.len()));
    }
    Ok(program)
}

/// Returns the names in `profile` that no interface of `arch` has. They have no effect.
pub fn unknown_names(profile: &Seccomp, arch: Arch) -> Vec<&str> {
    let known = |name: &str| {
        arch.family()
            .iter()
            .any(|abi| abi.number(name).is_some() || abi.multiplexed(name).is_some())
    };
    profile
        .syscalls
        .iter()
        .flat_map(|rule| rule.names.iter().map(String::as_str))
        .filter(|name| !known(name))
        .collect()
}

/// Returns `struct sock_filter[]` in little-endian order, what every supported guest uses.
pub fn to_bytes(filter: &[SockFilter]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(filter.len() * 8);
    for instruction in filter {
        bytes.extend(instruction.code.to_le_bytes());
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_le_bytes());
    }
    bytes
}

fn covered(profile: &Seccomp, arch: Arch) -> Result<Vec<Abi>, Error> {
    let mut covered = vec![arch.family()[0]];
    for name in &profile.architectures {
        match arch.family().iter().find(|abi| abi.name() == name) {
            Some(abi) => covered.push(*abi),
            None if FOREIGN.contains(&name.as_str()) => {}
            None => return Err(Error::UnknownArchitecture(name.clone())),
        }
    }
    Ok(covered)
}

/// Architectures of OCI whose programs no kernel of ours runs beside its own.
const FOREIGN: [&str; 19] = [
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_LOONGARCH64",
];

/// Binary search for the range that the accumulator (the number) is in.
fn search(builder: &mut Builder, ranges: &[(u32, Decision)], wide: bool) -> Label {
    if let [(_, decision)] = ranges {
        return self::decision(builder, decision, wide);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let start = high[0].0;
    let high = search(builder, high, wide);
    let low = search(builder, low, wide);
    builder.branch(JUMP_GREATER_OR_EQUAL, start, high, low)
}

fn decision(builder: &mut Builder, decision: &Decision, wide: bool) -> Label {
    let mut next = builder.ret(decision.otherwise.0);
    for (conditions, action) in decision.rules.iter().rev() {
        let mut holds = builder.ret(action.0);
        for condition in conditions.iter().rev() {
            holds = test(builder, *condition, wide, holds, next);
        }
        next = holds;
    }
    next
}

/// Continues at `yes` or `no`. Where arguments are not `wide`, the low 32 bits of both sides are
/// compared, as libseccomp does.
fn test(builder: &mut Builder, condition: Condition, wide: bool, yes: Label, no: Label) -> Label {
    let (code, value, (yes, no)) = match condition.test {
        Test::Equal(value) => (JUMP_EQUAL, value, (yes, no)),
        Test::NotEqual(value) => (JUMP_EQUAL, value, (no, yes)),
        Test::Greater(value) => (JUMP_GREATER, value, (yes, no)),
        Test::LessOrEqual(value) => (JUMP_GREATER, value, (no, yes)),
        Test::GreaterOrEqual(value) => (JUMP_GREATER_OR_EQUAL, value, (yes, no)),
        Test::Less(value) => (JUMP_GREATER_OR_EQUAL, value, (no, yes)),
        Test::Masked { mask, value } => {
            let offset = argument(condition.argument);
            let mut next = builder.branch(JUMP_EQUAL, value as u32, yes, no);
            next = builder.step(AND, mask as u32, next);
            next = builder.step(LOAD, offset, next);
            if wide && mask >> 32 != 0 {
                next = builder.branch(JUMP_EQUAL, (value >> 32) as u32, next, no);
                next = builder.step(AND, (mask >> 32) as u32, next);
                next = builder.step(LOAD, offset + 4, next);
            }
            return next;
        }
    };
    let offset = argument(condition.argument);
    let mut next = builder.branch(code, value as u32, yes, no);
    next = builder.step(LOAD, offset, next);
    if wide {
        let high = (value >> 32) as u32;
        // Equal high halves leave it to the low ones; greater ones decide, unless equality is
        // asked for.
        next = builder.branch(JUMP_EQUAL, high, next, no);
        if code != JUMP_EQUAL {
            next = builder.branch(JUMP_GREATER, high, yes, next);
        }
        next = builder.step(LOAD, offset + 4, next);
    }
    next
}
