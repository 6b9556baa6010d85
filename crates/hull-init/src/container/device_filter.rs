//! Device access rules as a BPF program for the container's cgroup, see
//! <https://docs.kernel.org/bpf/prog_cgroup_device.html>.

use hull_spec::DeviceRule;

use crate::failure::{Failure, Result};

/// Returns the program for `rules`, first to last, the last match wins, deny if none does;
/// `None` if everything is allowed. Default devices (runc's list) are always allowed.
pub(crate) fn program(rules: &[DeviceRule]) -> Result<Option<Vec<u64>>> {
    let mut parsed = rules.iter().map(Rule::new).collect::<Result<Vec<_>>>()?;
    if parsed.last().is_some_and(|rule| rule.allow && rule.is_everything()) {
        return Ok(None);
    }
    parsed.extend(DEFAULTS);
    // r2 = access type << 16 | device type, r3 = major, r4 = minor.
    let mut code = vec![
        instruction(LOAD_WORD, 2, 1, 0, 0),
        instruction(LOAD_WORD, 3, 1, 4, 0),
        instruction(LOAD_WORD, 4, 1, 8, 0),
        instruction(MOVE, 5, 2, 0, 0),
        instruction(AND, 5, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, 2, 0, 0, 16),
    ];
    for rule in parsed.iter().rev() {
        rule.emit(&mut code);
        if rule.is_everything() {
            // Nothing before this rule can matter.
            return Ok(Some(code));
        }
    }
    exit(&mut code, false);
    Ok(Some(code))
}

#[derive(Clone, Copy)]
struct Rule {
    allow: bool,
    /// 1: block, 2: character; `None`: both.
    kind: Option<i32>,
    major: Option<u32>,
    minor: Option<u32>,
    /// 1: mknod, 2: read, 4: write.
    access: i32,
}

impl Rule {
    fn new(rule: &DeviceRule) -> Result<Self> {
        let kind = match rule.kind.as_str() {
            "" | "a" => None,
            "b" => Some(1),
            "c" | "u" => Some(2),
            kind => return Err(Failure::invalid(format!("invalid device type {kind:?}"))),
        };
        let number = |number: Option<i64>| match number {
            None | Some(-1) => Ok(None),
            Some(number) => u32::try_from(number)
                .map(Some)
                .map_err(|_| Failure::invalid("device number out of range")),
        };
        let mut access = 0;
        for letter in rule.access.chars() {
            access |= match letter {
                'm' => 1,
                'r' => 2,
                'w' => 4,
                letter => {
                    return Err(Failure::invalid(format!("invalid device access {letter:?}")));
                }
            };
        }
        Ok(Self {
            allow: rule.allow,
            kind,
            major: number(rule.major)?,
            minor: number(rule.minor)?,
            access: if access == 0 { 7 } else { access },
        })
    }

    fn is_everything(&self) -> bool {
        self.kind.is_none() && self.major.is_none() && self.minor.is_none() && self.access == 7
    }

    fn emit(&self, code: &mut Vec<u64>) {
        let mut tests = Vec::new();
        if let Some(kind) = self.kind {
            tests.push(instruction(JUMP_NOT_EQUAL, 5, 0, 0, kind));
        }
        if self.access != 7 {
            // An allowing rule must cover all of the access, a denying one any part of it.
            tests.push(instruction(MOVE, 1, 2, 0, 0));
            if self.allow {
                tests.push(instruction(AND, 1, 0, 0, !self.access & 7));
                tests.push(instruction(JUMP_NOT_EQUAL, 1, 0, 0, 0));
            } else {
                tests.push(instruction(AND, 1, 0, 0, self.access));
                tests.push(instruction(JUMP_EQUAL, 1, 0, 0, 0));
            }
        }
        if let Some(major) = self.major {
            tests.push(instruction(JUMP_NOT_EQUAL, 3, 0, 0, major as i32));
        }
        if let Some(minor) = self.minor {
            tests.push(instruction(JUMP_NOT_EQUAL, 4, 0, 0, minor as i32));
        }
        // Every jump leads behind the two instructions that end the program.
        let length = tests.len();
        for (index, test) in tests.iter_mut().enumerate() {
            if *test & 0xff != u64::from(MOVE) && *test & 0xff != u64::from(AND) {
                *test |= ((length - index + 1) as u64) << 16;
            }
        }
        code.extend(tests);
        exit(code, self.allow);
    }
}

fn exit(code: &mut Vec<u64>, allow: bool) {
    code.push(instruction(MOVE_CONSTANT, 0, 0, 0, i32::from(allow)));
    code.push(instruction(EXIT, 0, 0, 0, 0));
}

/// `struct bpf_insn`: opcode, destination and source register, offset, constant.
fn instruction(opcode: u8, to: u8, from: u8, offset: i16, constant: i32) -> u64 {
    let [low, high] = offset.to_le_bytes();
    let [a, b, c, d] = constant.to_le_bytes();
    u64::from_le_bytes([opcode, from << 4 | to, low, high, a, b, c, d])
}

const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xbf;
const MOVE_CONSTANT: u8 = 0xb7;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_EQUAL: u8 = 0x15;
const JUMP_NOT_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

const fn character(major: u32, minor: Option<u32>) -> Rule {
    Rule { allow: true, kind: Some(2), major: Some(major), minor, access: 7 }
}

const fn make_nodes(kind: i32) -> Rule {
    Rule { allow: true, kind: Some(kind), major: None, minor: None, access: 1 }
}

/// `AllowedDevices` of runc's specconv: making any node, null, zero, full, tty, random, urandom,
/// pseudo terminals.
const DEFAULTS: [Rule; 10] = [
    make_nodes(2),
    make_nodes(1),
    character(1, Some(3)),
    character(1, Some(8)),
    character(1, Some(7)),
    character(5, Some(0)),
    character(1, Some(5)),
    character(1, Some(9)),
    character(136, None),
    character(5, Some(2)),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(allow: bool, kind: &str, major: i64, minor: i64, access: &str) -> DeviceRule {
        DeviceRule {
            allow,
            kind: kind.into(),
            major: Some(major),
            minor: Some(minor),
            access: access.into(),
        }
    }

    /// Runs a program as the kernel would.
    fn run(code: &[u64], kind: u64, access: u64, major: u64, minor: u64) -> bool {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0_u64; 11];
        let mut at = 0;
        loop {
            let [opcode, operands, low, high, a, b, c, d] = code[at].to_le_bytes();
            let (to, from) = (usize::from(operands & 15), usize::from(operands >> 4));
            let offset = i16::from_le_bytes([low, high]);
            let constant = i32::from_le_bytes([a, b, c, d]) as u64;
            let mut jump = false;
            match opcode {
                LOAD_WORD => registers[to] = context[offset as usize / 4],
                MOVE => registers[to] = registers[from],
                MOVE_CONSTANT => registers[to] = constant,
                AND => registers[to] &= constant,
                SHIFT_RIGHT => registers[to] >>= constant,
                JUMP_EQUAL => jump = registers[to] == constant,
                JUMP_NOT_EQUAL => jump = registers[to] != constant,
                EXIT => return registers[0] == 1,
                other => panic!("opcode {other:#x}"),
            }
            at += 1;
            if jump {
                at += offset as usize;
            }
        }
    }

    #[test]
    fn the_last_matching_rule_decides() {
        let rules = [
            rule(false, "a", -1, -1, "rwm"),
            rule(true, "c", 10, 200, "rw"),
            rule(true, "b", 8, -1, "r"),
            rule(false, "c", 10, 201, "w"),
        ];
        let code = program(&rules).unwrap().unwrap();
        for (kind, access, major, minor, allowed) in [
            (2, 2, 10, 200, true),
            (2, 6, 10, 200, true),
            (2, 2, 10, 201, false),
            (1, 2, 8, 5, true),
            (1, 4, 8, 5, false),
            (1, 6, 8, 5, false),
            (1, 1, 99, 1, true),
            (2, 6, 1, 3, true),
            (2, 2, 136, 17, true),
            (2, 2, 1, 1, false),
        ] {
            assert_eq!(
                run(&code, kind, access, major, minor),
                allowed,
                "{kind} {access} {major}:{minor}"
            );
        }
    }

    #[test]
    fn privileged_needs_no_program() {
        assert_eq!(program(&[rule(true, "a", -1, -1, "rwm")]).unwrap(), None);
        assert!(program(&[]).unwrap().is_some());
        assert!(program(&[rule(true, "x", 1, 1, "r")]).is_err());
    }
}
