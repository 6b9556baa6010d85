//! Kernel file formats.

use crate::shape::Arch;

/// A format that QEMU boots.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Format {
    /// Uncompressed x86_64 ELF with a PVH entry.
    Vmlinux,
    BzImage,
    /// arm64.
    Image,
    /// arm64, compressed as a whole.
    ImageGz,
}

/// Returns the format of `image` if guests of `arch` can boot it, else why not.
pub(super) fn recognise(image: &[u8], arch: Arch) -> Result<Format, String> {
    let starts = |magic: &[u8]| image.starts_with(magic);
    if starts(b"\x7fELF") {
        return elf(image, arch);
    }
    if u16_at(image, 0x1fe) == Some(0xaa55) && slice(image, 0x202, 4) == Some(b"HdrS") {
        if arch != Arch::X86_64 {
            return Err(wrong_arch("x86_64", arch));
        }
        if u16_at(image, 0x206).unwrap_or(0) < OLDEST_BOOT_PROTOCOL {
            return Err("its boot protocol is too old".to_owned());
        }
        return Ok(Format::BzImage);
    }
    if slice(image, 56, 4) == Some(b"ARM\x64") {
        if arch != Arch::Aarch64 {
            return Err(wrong_arch("aarch64", arch));
        }
        if image[24] & 1 != 0 {
            return Err("it is big-endian".to_owned());
        }
        return Ok(Format::Image);
    }
    if starts(b"\x1f\x8b") && arch == Arch::Aarch64 {
        return Ok(Format::ImageGz);
    }
    for (magic, name) in COMPRESSED {
        if starts(magic) {
            return Err(format!("it is compressed ({name}); unpack it first"));
        }
    }
    if slice(image, 0, 2) == Some(b"MZ") {
        return Err("it is an EFI application, not a kernel that boots directly".to_owned());
    }
    Err("it is no Linux kernel".to_owned())
}

/// Returns the release that the kernel says it has.
pub(super) fn release(image: &[u8], format: Format) -> Option<String> {
    let text = match format {
        Format::Vmlinux | Format::Image => {
            let at = find(image, b"Linux version ")?;
            &image[at + 14..]
        }
        Format::BzImage => image.get(usize::from(u16_at(image, 0x20e)?) + 0x200..)?,
        Format::ImageGz => return None,
    };
    let end = text.iter().take(64).position(|&byte| byte == b' ' || !byte.is_ascii_graphic())?;
    Some(String::from_utf8_lossy(&text[..end]).into_owned())
}

/// Returns where `needle` first is in `haystack`.
pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let at = from + haystack.get(from..)?.iter().position(|&byte| byte == first)?;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

fn elf(image: &[u8], arch: Arch) -> Result<Format, String> {
    if image.get(4) != Some(&2) || image.get(5) != Some(&1) {
        return Err("it is not a 64-bit little-endian ELF file".to_owned());
    }
    match u16_at(image, 18) {
        Some(62) if arch == Arch::X86_64 => {}
        Some(62) => return Err(wrong_arch("x86_64", arch)),
        Some(183) if arch == Arch::Aarch64 => {
            return Err("arm64 kernels boot as `Image`, not as ELF `vmlinux`".to_owned());
        }
        Some(183) => return Err(wrong_arch("aarch64", arch)),
        machine => {
            return Err(format!(
                "it is for another architecture (ELF machine {})",
                machine.unwrap_or(0)
            ));
        }
    }
    match u16_at(image, 16) {
        Some(2) => {}
        Some(1) => return Err("it is a kernel module or an object file".to_owned()),
        _ => return Err("it is a program or library, not a kernel".to_owned()),
    }
    if has_pvh_entry(image) {
        Ok(Format::Vmlinux)
    } else {
        Err("it has no PVH entry point (CONFIG_PVH)".to_owned())
    }
}

/// Whether a note of owner `Xen` and type 18 (`XEN_ELFNOTE_PHYS32_ENTRY`) gives an entry address.
fn has_pvh_entry(image: &[u8]) -> bool {
    let headers = || -> Option<Vec<&[u8]>> {
        let table = usize::try_from(u64_at(image, 32)?).ok()?;
        let size = usize::from(u16_at(image, 54)?);
        let count = usize::from(u16_at(image, 56)?);
        (0..count)
            .map(|index| slice(image, table.checked_add(index.checked_mul(size)?)?, 56))
            .collect()
    };
    headers().unwrap_or_default().into_iter().any(|header| {
        const NOTE: u32 = 4;
        let segment = || {
            let offset = usize::try_from(u64_at(header, 8)?).ok()?;
            let size = usize::try_from(u64_at(header, 32)?).ok()?;
            slice(image, offset, size)
        };
        u32_at(header, 0) == Some(NOTE) && segment().is_some_and(notes_have_entry)
    })
}

fn notes_have_entry(mut notes: &[u8]) -> bool {
    while let (Some(name), Some(size), Some(kind)) =
        (u32_at(notes, 0), u32_at(notes, 4), u32_at(notes, 8))
    {
        let (name, size) = (name as usize, size as usize);
        if kind == 18 && slice(notes, 12, name) == Some(b"Xen\0") && (size == 4 || size == 8) {
            return true;
        }
        let next = 12_usize
            .saturating_add(name.next_multiple_of(4))
            .saturating_add(size.next_multiple_of(4));
        match notes.get(next..) {
            Some(rest) => notes = rest,
            None => return false,
        }
    }
    false
}

fn wrong_arch(is: &str, wanted: Arch) -> String {
    format!("it is for {is}, the guest is {}", wanted.name())
}

fn slice(bytes: &[u8], at: usize, size: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(size)?)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(slice(bytes, at, 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(slice(bytes, at, 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(slice(bytes, at, 8)?.try_into().ok()?))
}

/// 2.06, Linux 2.6.22.
const OLDEST_BOOT_PROTOCOL: u16 = 0x206;

const COMPRESSED: [(&[u8], &str); 3] =
    [(b"\x1f\x8b", "gzip"), (b"\xfd7zXZ", "xz"), (b"\x28\xb5\x2f\xfd", "zstd")];

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an ELF file with one note segment.
    fn vmlinux(machine: u16, kind: u16, note: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 120];
        image[..6].copy_from_slice(b"\x7fELF\x02\x01");
        image[16..18].copy_from_slice(&kind.to_le_bytes());
        image[18..20].copy_from_slice(&machine.to_le_bytes());
        image[32] = 64;
        image[54] = 56;
        image[56] = 1;
        image[64] = 4;
        image[72] = 120;
        image[96..104].copy_from_slice(&(note.len() as u64).to_le_bytes());
        image.extend_from_slice(note);
        image
    }

    fn note(kind: u8) -> Vec<u8> {
        let mut note = vec![0; 12];
        (note[0], note[4], note[8]) = (4, 8, kind);
        note.extend_from_slice(b"Xen\0\0\0\0\x01\0\0\0\0");
        note
    }

    #[test]
    fn kernels_are_recognised_and_others_refused() {
        let mut two_notes = note(6);
        two_notes.extend(note(18));
        let x86 = |image: &[u8]| recognise(image, Arch::X86_64);
        assert_eq!(x86(&vmlinux(62, 2, &two_notes)), Ok(Format::Vmlinux));
        let mut bz_image = vec![0; 0x300];
        bz_image[0x1fe..0x206].copy_from_slice(b"\x55\xaa\0\0HdrS");
        bz_image[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
        assert_eq!(x86(&bz_image), Ok(Format::BzImage));
        let mut image = vec![0; 64];
        image[56..60].copy_from_slice(b"ARM\x64");
        assert_eq!(recognise(&image, Arch::Aarch64), Ok(Format::Image));

        for (image, reason) in [
            (vmlinux(62, 2, &note(6)), "it has no PVH entry point (CONFIG_PVH)"),
            (vmlinux(62, 1, &two_notes), "it is a kernel module or an object file"),
            (vmlinux(183, 2, &two_notes), "it is for aarch64, the guest is x86_64"),
            (vmlinux(8, 2, &[]), "it is for another architecture (ELF machine 8)"),
            (image, "it is for aarch64, the guest is x86_64"),
            (b"\xfd7zXZ\0".to_vec(), "it is compressed (xz); unpack it first"),
            (b"hello".to_vec(), "it is no Linux kernel"),
            (Vec::new(), "it is no Linux kernel"),
        ] {
            assert_eq!(x86(&image), Err(reason.to_owned()));
        }
        let elf = recognise(&vmlinux(183, 2, &[]), Arch::Aarch64).unwrap_err();
        assert!(elf.contains("`Image`"));
    }

    #[test]
    fn no_truncation_panics() {
        let image = vmlinux(62, 2, &note(18));
        for length in 0..image.len() {
            let _ = recognise(&image[..length], Arch::X86_64);
        }
        let mut wild = image;
        for at in 0..wild.len() {
            let byte = std::mem::replace(&mut wild[at], 0xff);
            let _ = recognise(&wild, Arch::X86_64);
            wild[at] = byte;
        }
    }
}
