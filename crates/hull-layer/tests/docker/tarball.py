"""Builds tar archives field by field, so that impossible ones can be built too."""

ZEROS = b"\0" * 512


def pad(data):
    return data + b"\0" * (-len(data) % 512)


def number(value, width):
    if isinstance(value, bytes):
        return value.ljust(width, b"\0")
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return (value + (0x80 << (8 * (width - 1)) if value >= 0 else 1 << (8 * width))).to_bytes(width, "big")


def header(name, kind, size, mode, uid, gid, mtime, link, dev, magic=b"ustar\x0000", prefix=b"", tail=None):
    block = bytearray(512)
    block[0:100] = name[:100].ljust(100, b"\0")
    block[100:108] = number(mode, 8)
    block[108:116] = number(uid, 8)
    block[116:124] = number(gid, 8)
    block[124:136] = number(size, 12)
    block[136:148] = number(mtime, 12)
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157:257] = link[:100].ljust(100, b"\0")
    block[257:265] = magic
    block[329:337] = number(dev[0], 8)
    block[337:345] = number(dev[1], 8)
    block[345:500] = prefix.ljust(155, b"\0")
    if tail:
        block[tail[0]:tail[0] + len(tail[1])] = tail[1]
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def records(pax):
    out = b""
    for key, value in pax.items():
        body = b" " + key.encode() + b"=" + (value if isinstance(value, bytes) else value.encode()) + b"\n"
        length = len(body)
        while len(str(length)) + len(body) != length:
            length = len(str(length)) + len(body)
        out += str(length).encode() + body
    return out


def entry(name, data=b"", kind=b"0", mode=None, uid=0, gid=0, mtime=1600000000, link=b"", dev=(0, 0), pax=None,
          size=None, **extra):
    name = name.encode() if isinstance(name, str) else name
    link = link.encode() if isinstance(link, str) else link
    if mode is None:
        mode = 0o755 if kind == b"5" else 0o644
    out = b""
    if pax:
        body = records(pax)
        out += header(b"PaxHeaders/x", b"x", len(body), 0o644, 0, 0, 0, b"", (0, 0)) + pad(body)
    size = len(data) if size is None else size
    return out + header(name, kind, size, mode, uid, gid, mtime, link, dev, **extra) + pad(data)


def directory(name, **more):
    return entry(name, kind=b"5", **more)


def symlink(name, target, **more):
    return entry(name, kind=b"2", link=target, mode=0o777, **more)


def hardlink(name, target, **more):
    return entry(name, kind=b"1", link=target, **more)


def gnu_long(kind, value):
    value = value.encode() if isinstance(value, str) else value
    return header(b"././@LongLink", kind, len(value) + 1, 0, 0, 0, 0, b"", (0, 0), magic=b"ustar  \0") + pad(value + b"\0")


def archive(*entries):
    return b"".join(entries) + ZEROS * 2
