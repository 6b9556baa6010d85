//! Assembler for classic BPF over `struct seccomp_data`.
//!
//! Programs are written from their end to their beginning: BPF jumps only forwards, so every
//! target exists before the jump to it, and its distance is known.

use std::collections::HashMap;

/// One instruction, `struct sock_filter` of `linux/filter.h`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct SockFilter {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// `BPF_LD | BPF_W | BPF_ABS`: accumulator = the word at offset `k` of `struct seccomp_data`.
pub(crate) const LOAD: u16 = 0x20;
/// `BPF_ALU | BPF_AND | BPF_K`.
pub(crate) const AND: u16 = 0x54;
/// `BPF_JMP | BPF_JA`.
pub(crate) const JUMP: u16 = 0x05;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
pub(crate) const JUMP_EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JGT | BPF_K`.
pub(crate) const JUMP_GREATER: u16 = 0x25;
/// `BPF_JMP | BPF_JGE | BPF_K`.
pub(crate) const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
/// `BPF_RET | BPF_K`.
pub(crate) const RETURN: u16 = 0x06;

/// Offset of `nr` in `struct seccomp_data`.
pub(crate) const NUMBER: u32 = 0;
/// Offset of `arch`.
pub(crate) const ARCH: u32 = 4;

/// Offset of the low 32 bits of an argument; the high ones are 4 bytes behind (little endian).
pub(crate) fn argument(index: u8) -> u32 {
    16 + 8 * u32::from(index)
}

/// A place in the program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Label(usize);

/// A program under construction, its last instruction first.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    code: Vec<SockFilter>,
    /// The copy of each return instruction that was written last.
    returns: HashMap<u32, Label>,
}

impl Builder {
    /// Writes an instruction that goes on at `then`.
    pub(crate) fn step(&mut self, code: u16, k: u32, then: Label) -> Label {
        if then.0 + 1 != self.code.len() {
            self.jump(then);
        }
        self.push(code, k, 0, 0)
    }

    pub(crate) fn ret(&mut self, value: u32) -> Label {
        match self.returns.get(&value) {
            Some(&label) if self.distance(label) < 200 => label,
            _ => {
                let label = self.push(RETURN, value, 0, 0);
                self.returns.insert(value, label);
                label
            }
        }
    }

    /// Writes a conditional jump.
    pub(crate) fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        if yes == no {
            return yes;
        }
        // The second helper moves the first target one further away, never out of reach: it is
        // then a helper itself.
        let yes = self.within_reach(yes, 1);
        let no = self.within_reach(no, 0);
        let (jt, jf) = (self.distance(yes), self.distance(no));
        debug_assert!(jt < 256 && jf < 256);
        self.push(code, k, jt as u8, jf as u8)
    }

    /// Returns the program that begins at `start`.
    pub(crate) fn finish(mut self, start: Label) -> Vec<SockFilter> {
        if start.0 + 1 != self.code.len() {
            self.jump(start);
        }
        self.code.reverse();
        self.code
    }

    /// Returns `target`, or a copy of it or a jump to it, at most 255 - `margin` instructions away
    /// from the next one.
    fn within_reach(&mut self, target: Label, margin: usize) -> Label {
        if self.distance(target) + margin < 256 {
            return target;
        }
        let instruction = self.code[target.0];
        if instruction.code == RETURN {
            let label = self.push(RETURN, instruction.k, 0, 0);
            self.returns.insert(instruction.k, label);
            label
        } else {
            self.jump(target)
        }
    }

    fn jump(&mut self, target: Label) -> Label {
        let distance = self.distance(target) as u32;
        self.push(JUMP, distance, 0, 0)
    }

    /// Instructions between the next one to be written and `target`.
    fn distance(&self, target: Label) -> usize {
        self.code.len() - target.0 - 1
    }

    fn push(&mut self, code: u16, k: u32, jt: u8, jf: u8) -> Label {
        self.code.push(SockFilter { code, jt, jf, k });
        Label(self.code.len() - 1)
    }
}
