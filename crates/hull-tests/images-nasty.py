"""Writes two layers with everything that a layer can hold: nasty-1.tar and nasty-2.tar."""

import io
import sys
import tarfile

SECONDS = 1234567890.123456789


def entry(name, kind=tarfile.REGTYPE, data=b"", pax=None, **fields):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(data)
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    info.mtime = 1234567890
    for field, value in fields.items():
        setattr(info, field, value)
    info.pax_headers = dict(pax or {})
    return info, io.BytesIO(data) if kind == tarfile.REGTYPE else None


def write(path, entries):
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, encoding="utf-8",
                      errors="surrogateescape") as tar:
        for info, data in entries:
            tar.addfile(info, data)


CAPABILITY = bytes([1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
CAPABILITY = CAPABILITY.decode("utf-8", "surrogateescape")
DIR, SYM, LNK = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE

write(sys.argv[1] + "/nasty-1.tar", [
    entry("n/", DIR, mode=0o755),
    entry("n/times", data=b"t", pax={"mtime": "1234567890.123456789"}),
    entry("n/old", data=b"t", pax={"mtime": "-1000.5"}),
    entry("n/huge-owner", data=b"o", uid=4000000000, gid=3000000000),
    entry("n/setuid", data=b"s", mode=0o6755, uid=33, gid=44),
    entry("n/sticky/", DIR, mode=0o1777),
    entry("n/capable", data=b"c", mode=0o755, pax={"SCHILY.xattr.security.capability": CAPABILITY}),
    entry("n/attributes", data=b"x",
          pax={"SCHILY.xattr.user.one": "1", "SCHILY.xattr.user.long": "v" * 3000}),
    entry("n/null", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
    entry("n/block", tarfile.BLKTYPE, devmajor=259, devminor=70000, mode=0o600),
    entry("n/fifo", tarfile.FIFOTYPE, mode=0o640),
    entry("n/" + "long" * 50 + "/" + "name" * 60, data=b"long"),
    entry("n/\udcff\udcfe bytes", data=b"not UTF-8"),
    entry("n/new\nline", data=b"n"),
    entry("n/link-absolute", SYM, linkname="/etc/passwd"),
    entry("n/link-dangling", SYM, linkname="../../../../nowhere"),
    entry("n/link-long", SYM, linkname="a/" * 1000 + "end"),
    entry("n/hard-a", data=b"linked" * 1000),
    entry("n/hard-b", LNK, linkname="n/hard-a"),
    entry("n/zz-hard", LNK, linkname="/n/hard-a"),
    entry("n/hard-symlink", LNK, linkname="n/link-absolute"),
    entry("n/empty"),
    entry("n/block-sized", data=b"B" * 4096),
    entry("n/block-and-one", data=b"B" * 4097),
    entry("n/no/parent/entries", data=b"implicit"),
    entry("n/gone/", DIR), entry("n/gone/file", data=b"1"),
    entry("n/opaque/", DIR), entry("n/opaque/lower", data=b"1"),
    entry("n/becomes-file/", DIR), entry("n/becomes-file/x", data=b"1"),
    entry("n/becomes-dir", data=b"1"),
    entry("n/kept/", DIR, mode=0o700), entry("n/kept/below", data=b"1"),
    entry("n/removed", data=b"1"),
    entry("n/recreated/", DIR), entry("n/recreated/old", data=b"1"),
    *[entry(f"n/many/{i:05}", data=b"%d" % i) for i in range(2000)],
])
write(sys.argv[1] + "/nasty-2.tar", [
    entry("n/.wh.gone"),
    entry("n/opaque/", DIR), entry("n/opaque/a-upper", data=b"2"),
    entry("n/opaque/.wh..wh..opq"), entry("n/opaque/upper", data=b"2"),
    entry("n/becomes-file", data=b"2"),
    entry("n/becomes-dir/", DIR), entry("n/becomes-dir/x", data=b"2"),
    entry("n/kept/", DIR, mode=0o711), entry("n/kept/above", data=b"2"),
    entry("n/.wh.removed"), entry("n/.wh.never-was"),
    entry("n/.wh.recreated"), entry("n/recreated/", DIR), entry("n/recreated/new", data=b"2"),
    entry("./n/dot-slash", data=b"2"), entry("/n/absolute", data=b"2"),
])
