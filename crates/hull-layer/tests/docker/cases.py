"""Image layers whose unpacking is worth recording; each case is a list of archives, lowest first."""

import struct

from tarball import ZEROS, archive, directory, entry, gnu_long, hardlink, header, pad, records, symlink

LOWER = archive(
    directory("d/", mode=0o711, uid=7), entry("d/lower", b"lower"), directory("d/sub/"), entry("d/sub/x", b"x"),
    entry("f", b"f lower"), directory("tmp/", mode=0o1777), entry("tmp/t", b"t"),
    directory("usr/"), directory("usr/bin/"), entry("usr/bin/tool", b"tool"), symlink("bin", "usr/bin"),
    entry("h1", b"hard"), hardlink("h2", "h1"))
CAP = bytes.fromhex("0100000200200000000000000000000000000000")
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *e) for e in [(1, 6, 0xFFFFFFFF), (2, 6, 1000), (4, 4, 0xFFFFFFFF), (16, 6, 0xFFFFFFFF), (32, 4, 0xFFFFFFFF)])
BASE_ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *e) for e in [(1, 6, 0xFFFFFFFF), (4, 4, 0xFFFFFFFF), (32, 4, 0xFFFFFFFF)])


def xattr(name, value=b"v"):
    return {"SCHILY.xattr." + name: value}


def old_sparse(name, data, regions, real, extended=b""):
    raw = bytearray(entry(name, kind=b"S", magic=b"ustar  \0", size=len(data)))
    struct_at = 386
    for offset, length in regions[:4]:
        raw[struct_at:struct_at + 24] = b"%011o\0%011o\0" % (offset, length)
        struct_at += 24
    raw[482] = 1 if regions[4:] else 0
    raw[483:495] = b"%011o\0" % real
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    rest, more = regions[4:], b""
    while rest:
        block = bytearray(512)
        for i, (offset, length) in enumerate(rest[:21]):
            block[i * 24:i * 24 + 24] = b"%011o\0%011o\0" % (offset, length)
        rest = rest[21:]
        block[504] = 1 if rest else 0
        more += bytes(block)
    return bytes(raw[:512]) + more + pad(data)


def pax_sparse10(name, data, regions, real):
    body = b"%d\n" % len(regions) + b"".join(b"%d\n%d\n" % r for r in regions)
    return entry("GNUSparseFile.0/" + name, pad(body) + data, pax={
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": name, "GNU.sparse.realsize": str(real)})


LONG = "l" * 150 + "/" + "m" * 200
CASES = {
    "plain": [LOWER],
    "wh_then_dir": [LOWER, archive(entry(".wh.d"), directory("d/"), entry("d/new", b"new"))],
    "dir_then_wh": [LOWER, archive(directory("d/"), entry("d/new", b"new"), entry(".wh.d"))],
    "file_then_wh": [LOWER, archive(entry("f", b"new"), entry(".wh.f"))],
    "wh_then_file": [LOWER, archive(entry(".wh.f"), entry("f", b"new"))],
    "wh_twice": [LOWER, archive(entry(".wh.f"), entry(".wh.f"))],
    "wh_dir": [LOWER, archive(entry(".wh.d"))],
    "wh_nothing": [LOWER, archive(entry(".wh.nothing"), entry("d/.wh.nothing"))],
    "wh_in_absent_dir": [LOWER, archive(entry("absent/.wh.x"))],
    "wh_as_dir": [LOWER, archive(directory(".wh.d/"))],
    "wh_implicit_parent": [LOWER, archive(entry("d/.wh.lower"))],
    "wh_then_child": [LOWER, archive(entry(".wh.d"), entry("d/new", b"new"))],
    "wh_through_link": [LOWER, archive(symlink("l", "d"), directory("d"), entry("l/.wh.lower"))],
    "wh_through_lower_link": [LOWER, archive(entry("bin/.wh.tool"))],
    "wh_component": [LOWER, archive(entry(".wh.d/x", b"x"))],
    "wh_empty": [LOWER, archive(entry(".wh."))],
    "wh_dot": [LOWER, archive(entry(".wh.."))],
    "wh_dotdot": [LOWER, archive(entry("d/.wh..."))],
    "wh_plnk": [LOWER, archive(directory(".wh..wh.plnk"), entry(".wh..wh.plnk/1", b"1"), entry(".wh..wh.aufs"))],
    "wh_then_link_to_it": [LOWER, archive(entry(".wh.f"), hardlink("g", "f"))],
    "wh_first_layer": [archive(entry(".wh.f"), entry("g", b"g"))],
    "wh_readded_above": [LOWER, archive(entry(".wh.d")), archive(directory("d"), entry("d/new", b"n"))],
    "wh_three": [LOWER, archive(entry("d/lower", b"mid")), archive(entry("d/.wh.lower"))],
    "opq_last": [LOWER, archive(directory("d/", mode=0o700), entry("d/new", b"new"), entry("d/.wh..wh..opq"))],
    "opq_first": [LOWER, archive(directory("d/", mode=0o700), entry("d/.wh..wh..opq"), entry("d/new", b"new"))],
    "opq_implicit": [LOWER, archive(entry("d/.wh..wh..opq"))],
    "opq_before_dir": [LOWER, archive(entry("d/.wh..wh..opq"), directory("d", mode=0o700), entry("d/new", b"new"))],
    "opq_root": [LOWER, archive(entry(".wh..wh..opq"), entry("new", b"new"))],
    "opq_keeps_siblings": [LOWER, archive(directory("d"), entry("d/lower", b"mine"), entry("d/.wh..wh..opq"))],
    "opq_nested": [LOWER, archive(directory("d"), entry("d/sub/y", b"y"), entry("d/.wh..wh..opq"))],
    "opq_then_upper": [LOWER, archive(entry("d/.wh..wh..opq")), archive(entry("d/top", b"t"))],
    "opq_xattr": [LOWER, archive(directory("d", pax=xattr("trusted.overlay.opaque", b"y")), entry("d/new", b"n"))],
    "root_entry": [archive(directory("./", mode=0o700, uid=5), entry("./a", b"a"))],
    "root_entry_slash": [archive(directory("/", mode=0o700, uid=5), entry("/a", b"a"))],
    "root_file": [archive(entry("./", b"x"))],
    "root_symlink": [archive(symlink(".", "d"))],
    "empty_name": [archive(entry("", b"x"))],
    "implicit": [LOWER, archive(entry("p/q/r", b"r"), entry("tmp/mine", b"m"), entry("d/sub/z", b"z"))],
    "implicit_then_dir": [archive(entry("p/q", b"q"), directory("p", mode=0o700, uid=3))],
    "through_link": [archive(directory("real"), symlink("l", "real"), entry("l/x", b"x"))],
    "through_link_abs": [archive(directory("real"), symlink("l", "/real"), entry("l/x", b"x"))],
    "through_link_up": [archive(directory("real"), symlink("l", "../../real"), entry("l/x", b"x"))],
    "through_link_chain": [archive(directory("a/b"), symlink("a/l", "../m"), symlink("m", "a/b"), entry("a/l/x", b"x"))],
    "through_link_dangling": [archive(symlink("l", "real"), entry("l/x", b"x"))],
    "through_link_dangling_deep": [archive(symlink("l", "real"), entry("l/y/x", b"x"))],
    "through_link_loop": [archive(symlink("l", "m"), symlink("m", "l"), entry("l/x", b"x"))],
    "through_link_file": [archive(entry("real", b"r"), symlink("l", "real"), entry("l/x", b"x"))],
    "through_lower_link": [LOWER, archive(entry("bin/foo", b"foo"))],
    "dir_over_lower_link": [LOWER, archive(directory("bin"), entry("bin/foo", b"foo"))],
    "dir_over_link": [archive(directory("real"), symlink("l", "real"), directory("l"), entry("l/x", b"x"))],
    "file_over_link": [archive(entry("real", b"real"), symlink("l", "real"), entry("l", b"new"))],
    "file_parent": [archive(entry("a", b"a"), entry("a/b", b"b"))],
    "file_parent_lower": [LOWER, archive(entry("f/b", b"b"))],
    "file_over_lower_dir": [LOWER, archive(entry("d", b"file"))],
    "dir_over_lower_file": [LOWER, archive(directory("f"), entry("f/x", b"x"))],
    "dir_in_lower_of_three": [LOWER, archive(entry("d", b"file")), archive(directory("d"), entry("d/top", b"t"))],
    "dotdot": [archive(entry("../x", b"x"))],
    "dotdot_deep": [archive(entry("a/../../x", b"x"))],
    "dotdot_inside": [archive(entry("a/../x", b"x"))],
    "dotdot_only": [archive(directory(".."))],
    "absolute": [archive(entry("/abs/x", b"x"))],
    "slashes": [archive(entry("//a//b/./c", b"c"), entry("././e", b"e"))],
    "link_lower": [LOWER, archive(hardlink("g", "f"))],
    "link_lower_dir": [LOWER, archive(directory("d"), hardlink("d/g", "d/lower"))],
    "link_nowhere": [archive(hardlink("g", "nowhere"))],
    "link_later": [archive(hardlink("g", "later"), entry("later", b"l"))],
    "link_abs": [archive(entry("a", b"a"), hardlink("g", "/a"))],
    "link_dotslash": [archive(entry("a", b"a"), hardlink("g", "./a"))],
    "link_dotdot": [archive(entry("a", b"a"), hardlink("g", "../../a"))],
    "link_dir": [archive(directory("a"), hardlink("g", "a"))],
    "link_symlink": [archive(symlink("a", "t"), hardlink("g", "a"))],
    "link_via_symlink": [archive(directory("r"), entry("r/a", b"a"), symlink("l", "r"), hardlink("g", "l/a"))],
    "link_self": [archive(entry("a", b"a"), hardlink("a", "a"))],
    "link_empty": [archive(hardlink("a", ""))],
    "link_over": [archive(entry("a", b"a"), entry("b", b"b"), hardlink("b", "a"))],
    "link_metadata": [archive(entry("a", b"a", mode=0o600), hardlink("g", "a", mode=0o755, uid=5, gid=6, mtime=77))],
    "link_metadata_symlink": [archive(symlink("a", "t"), hardlink("g", "a", mode=0o755, uid=5, gid=6, mtime=77))],
    "link_cap_lost": [archive(entry("a", b"a", pax=xattr("security.capability", CAP)), hardlink("g", "a"))],
    "link_cap_kept": [archive(entry("a", b"a", pax=xattr("security.capability", CAP)), hardlink("g", "a", pax=xattr("security.capability", CAP)))],
    "link_xattrs": [archive(entry("a", b"a", pax=xattr("user.one")), hardlink("g", "a", pax=xattr("user.two")))],
    "link_target_replaced": [archive(entry("a", b"one"), hardlink("g", "a"), entry("a", b"two"))],
    "link_fifo": [archive(entry("a", kind=b"6"), hardlink("g", "a"))],
    "link_with_size": [archive(entry("a", b"a"), hardlink("g", "a", size=1000), entry("z", b"z"))],
    "link_split_above": [LOWER, archive(entry("h1", b"new"))],
    "link_removed_above": [LOWER, archive(entry(".wh.h1"))],
    "global_pax": [archive(header(b"g", b"g", len(records({"path": "evil", "uid": "9"})), 0o644, 0, 0, 0, b"", (0, 0)) + pad(records({"path": "evil", "uid": "9"})), entry("a", b"a"))],
    "type_cont": [archive(entry("a", b"a", kind=b"7"))],
    "type_volume": [archive(entry("a", b"a", kind=b"V"), entry("b", b"b"))],
    "type_multi": [archive(entry("a", b"a", kind=b"M"))],
    "type_dump": [archive(entry("a", b"a", kind=b"D"))],
    "type_unknown": [archive(entry("a", b"a", kind=b"Z"))],
    "type_nul": [archive(entry("a", b"a", kind=b"\0"), entry("dir/", kind=b"\0", mode=0o750))],
    "type_reg_slash": [archive(entry("a/", b"a"))],
    "dup_file": [archive(entry("a", b"one", pax=xattr("user.one")), entry("a", b"two", mode=0o600))],
    "dup_dir": [archive(directory("a", pax=xattr("user.one")), entry("a/x", b"x"), directory("a", mode=0o700, uid=4, pax=xattr("user.two"), mtime=5))],
    "dup_file_over_dir": [LOWER, archive(directory("a"), entry("a/x", b"x"), entry("a", b"file", mtime=9))],
    "dup_dir_over_file": [archive(entry("a", b"file"), directory("a"), entry("a/x", b"x"))],
    "dup_link_over_dir": [archive(directory("a"), entry("a/x", b"x"), symlink("a", "b"))],
    "xattrs": [archive(
        entry("a", b"a", pax={**xattr("user.long." + "n" * 200, b"\0\xff=\n"), **xattr("trusted.t"), **xattr("security.capability", CAP)}),
        directory("d", pax={**xattr("user.d"), **xattr("security.foo", b"bar")}))],
    "xattr_empty": [archive(entry("a", b"a", pax=xattr("user.e", b"")))],
    "xattr_user_symlink": [archive(symlink("a", "b", pax=xattr("user.e")))],
    "xattr_trusted_symlink": [archive(symlink("a", "b", pax=xattr("trusted.e")))],
    "xattr_user_fifo": [archive(entry("a", kind=b"6", pax=xattr("user.e")))],
    "xattr_no_namespace": [archive(entry("a", pax=xattr("foo.bar")))],
    "xattr_system": [archive(entry("a", pax=xattr("system.foo")))],
    "xattr_bare_user": [archive(entry("a", pax=xattr("user.")))],
    "xattr_long_name": [archive(entry("a", pax=xattr("user." + "n" * 251)))],
    "xattr_big": [archive(entry("a", pax=xattr("user.b", b"b" * 3000)))],
    "xattr_too_big": [archive(entry("a", pax=xattr("user.b", b"b" * 70000)))],
    "xattr_redirect": [LOWER, archive(directory("x", pax=xattr("trusted.overlay.redirect", b"/d")))],
    "xattr_libarchive": [archive(entry("a", pax={"LIBARCHIVE.xattr.user.x": "dg=="}))],
    "acl": [archive(entry("a", mode=0o664, pax=xattr("system.posix_acl_access", ACL)), directory("d", mode=0o775, pax={**xattr("system.posix_acl_access", ACL), **xattr("system.posix_acl_default", ACL)}))],
    "acl_mode": [archive(entry("a", mode=0o600, pax=xattr("system.posix_acl_access", ACL)))],
    "acl_base": [archive(entry("a", mode=0o644, pax=xattr("system.posix_acl_access", BASE_ACL)))],
    "acl_bad": [archive(entry("a", pax=xattr("system.posix_acl_access", b"bad")))],
    "acl_default_file": [archive(entry("a", pax=xattr("system.posix_acl_default", ACL)))],
    "acl_symlink": [archive(symlink("a", "b", pax=xattr("system.posix_acl_access", ACL)))],
    "acl_inherited": [archive(directory("d", pax=xattr("system.posix_acl_default", ACL)), entry("d/a"), directory("d/e"), entry("d/i/x"))],
    "devices": [archive(entry("c", kind=b"3", dev=(5, 300), mode=0o620), entry("b", kind=b"4", dev=(8, 70000)), entry("p", kind=b"6", mode=0o600))],
    "device_00": [LOWER, archive(entry("f", kind=b"3", dev=(0, 0)), entry("n", kind=b"3", dev=(0, 0)))],
    "device_block_00": [LOWER, archive(entry("f", kind=b"4", dev=(0, 0)))],
    "device_00_then_file": [LOWER, archive(entry("f", kind=b"3", dev=(0, 0)), hardlink("f2", "f"))],
    "device_max": [archive(entry("c", kind=b"3", dev=(4095, 1048575)))],
    "device_large": [archive(entry("c", kind=b"3", dev=(4096, 1)))],
    "ids_31": [archive(entry("a", uid=(1 << 31) + 5, gid=(1 << 32) - 2))],
    "ids_pax": [archive(entry("a", pax={"uid": str((1 << 31) + 5), "gid": "4000000000"}))],
    "ids_minus_one": [archive(entry("a", uid=(1 << 32) - 1, gid=(1 << 32) - 1))],
    "ids_33": [archive(entry("a", pax={"uid": str((1 << 32) + 7)}))],
    "ids_negative": [archive(entry("a", pax={"uid": "-5"}))],
    "modes": [archive(entry("s", b"s", mode=0o6755, uid=5), directory("t", mode=0o7777), entry("u", mode=0o1644), entry("v", mode=0), entry("w", mode=0o100644), directory("x", mode=0o40700), entry("p", kind=b"6", mode=0o4777))],
    "mode_symlink": [archive(entry("a", kind=b"2", link="b", mode=0o600, uid=9))],
    "mtimes": [archive(entry("a", mtime=-5), entry("b", pax={"mtime": "1600000000.123456789"}), entry("c", pax={"mtime": "-1.25"}), entry("d", pax={"mtime": "12.5"}), symlink("l", "x", pax={"mtime": "99.000000001"}), directory("dir", pax={"mtime": "5.5"}), entry("e", pax={"mtime": "1.1234567899"}))],
    "mtime_zero": [archive(entry("a", mtime=0))],
    "mtime_future": [archive(entry("a", mtime=5000000000), entry("b", mtime=20000000000))],
    "mtime_old": [archive(entry("a", mtime=-5000000000))],
    "mtime_dir_after": [archive(directory("a", mtime=5), entry("a/x", b"x"))],
    "names": [archive(entry(b"\xff\xfe\x80", b"1"), entry("with\nnewline", b"2"), entry("-dash", b"3"), entry("sp ace", b"4"), entry("!bang", b"5"), entry("...", b"6"))],
    "long_ustar": [archive(entry("n" * 90, b"p", prefix=b"dir/" + b"q" * 100))],
    "long_gnu": [archive(gnu_long(b"L", LONG), entry("short", b"long"), gnu_long(b"K", LONG), symlink("sl", "short"), gnu_long(b"K", LONG), hardlink("hl", "short"))],
    "long_pax": [archive(entry("short", b"long", pax={"path": LONG}), symlink("sl", "short", pax={"linkpath": LONG}))],
    "long_gnu_over_pax": [archive(gnu_long(b"L", "gnu"), entry("short", b"x", pax={"path": "pax"}))],
    "long_component": [archive(entry("short", pax={"path": "n" * 256}))],
    "long_component_ok": [archive(entry("short", pax={"path": "n" * 255}))],
    "long_path": [archive(entry("short", pax={"path": "/".join(["n" * 100] * 45)}))],
    "long_target": [archive(symlink("a", "b", pax={"linkpath": "t" * 4095}))],
    "long_target_over": [archive(symlink("a", "b", pax={"linkpath": "t" * 4096}))],
    "empty_target": [archive(symlink("a", ""))],
    "pax_nul": [archive(entry("a", pax={"path": b"x\0y"}))],
    "pax_empty": [archive(entry("a", pax={"path": ""}))],
    "pax_size": [archive(entry("a", b"hello", size=3, pax={"size": "5"}))],
    "pax_bad": [archive(header(b"x", b"x", 5, 0, 0, 0, 0, b"", (0, 0)) + pad(b"9 a=b"), entry("a"))],
    "pax_twice": [archive(header(b"x", b"x", len(records({"uid": "5"})), 0, 0, 0, 0, b"", (0, 0)) + pad(records({"uid": "5"})), entry("a", pax={"gid": "6"}))],
    "pax_orphan": [archive(header(b"x", b"x", len(records({"uid": "5"})), 0, 0, 0, 0, b"", (0, 0)) + pad(records({"uid": "5"})))],
    "sparse_old": [archive(old_sparse("a", b"A" * 512 + b"B" * 10, [(4096, 512), (100000, 10)], 200000))],
    "sparse_old_ext": [archive(old_sparse("a", b"".join(bytes([65 + i]) * 512 for i in range(20)), [(i * 8192, 512) for i in range(20)], 20 * 8192))],
    "sparse_00": [archive(entry("a", b"AAAABB", pax={"GNU.sparse.size": "50000", "GNU.sparse.numblocks": "1", "GNU.sparse.offset": "8192", "GNU.sparse.numbytes": "6"}))],
    "sparse_01": [archive(entry("GNUSparseFile.0/a", b"A" * 512 + b"B" * 512, pax={"GNU.sparse.size": "50000", "GNU.sparse.numblocks": "2", "GNU.sparse.map": "4096,512,40960,512", "GNU.sparse.name": "a"}))],
    "sparse_10": [archive(pax_sparse10("a", b"A" * 5000 + b"B" * 700, [(4096, 5000), (20480, 700), (50000, 0)], 50000), entry("z", b"z"))],
    "sparse_10_all_hole": [archive(pax_sparse10("a", b"", [(123456, 0)], 123456))],
    "sparse_10_overlap": [archive(pax_sparse10("a", b"A" * 1024, [(0, 512), (256, 512)], 2048))],
    "sparse_10_beyond": [archive(pax_sparse10("a", b"A" * 512, [(4096, 512)], 4100))],
    "sparse_10_short": [archive(pax_sparse10("a", b"A" * 100, [(0, 512)], 512))],
    "no_end": [entry("a", b"a")],
    "one_zero_block": [entry("a", b"a") + ZEROS],
    "no_padding": [(entry("a", b"a") + header(b"b", b"0", 5, 0o644, 0, 0, 0, b"", (0, 0)) + b"hello")],
    "trailing": [archive(entry("a", b"a")) + b"garbage" * 1000],
    "zero_then_more": [entry("a", b"a") + ZEROS + archive(entry("b", b"b"))],
    "bad_checksum": [archive(entry("a", b"a")[:148] + b"0000000\0" + entry("a", b"a")[156:])],
    "cut_header": [entry("a", b"a") + entry("b")[:100]],
    "cut_data": [entry("a", b"a" * 1000)[:1000]],
    "negative_size": [archive(entry("a", size=-5))],
    "dir_with_size": [archive(directory("a", size=1000), entry("b", b"b"))],
    "symlink_slash": [archive(symlink("a/", "b"))],
    "v7": [archive(entry("a", b"a", magic=b"\0" * 8))],
    "gnu_prefix": [archive(entry("a", b"a", magic=b"ustar  \0", prefix=b"00000000001\0" + b"\0" * 100))],
    "empty_archive": [b""],
    "end_only": [ZEROS * 2],
    "not_tar": [b"this is no archive" * 100],
    "xattr_twice": [archive(entry("a", pax={**xattr("user.b", b"1"), **xattr("user.a", b"2")}))],
    "acl_inherit_kinds": [archive(directory("d", pax=xattr("system.posix_acl_default", ACL)), symlink("d/l", "x"), entry("d/p", kind=b"6"), entry("d/c", kind=b"3", dev=(1, 3)), entry("d/own", mode=0o640, pax=xattr("system.posix_acl_access", ACL)))],
    "acl_inherit_base": [archive(directory("d", pax=xattr("system.posix_acl_default", BASE_ACL)), entry("d/a", mode=0o600), directory("d/e"))],
    "acl_empty": [archive(entry("a", pax=xattr("system.posix_acl_access", bytes([2, 0, 0, 0]))))],
    "opq_in_absent_dir": [LOWER, archive(entry("absent/.wh..wh..opq"))],
    "opq_through_link": [LOWER, archive(directory("d"), symlink("l", "d"), entry("l/.wh..wh..opq"))],
    "opq_dir_kind": [LOWER, archive(directory("d"), directory("d/.wh..wh..opq/"))],
    "aufs_nested": [LOWER, archive(entry("d/.wh..wh.x"))],
    "three_link_layers": [LOWER, archive(entry(".wh.h1")), archive(entry("h1", b"third"), hardlink("h3", "h1"))],
    "dir_symlink_up": [archive(directory("a"), symlink("a/up", ".."), entry("a/up/x", b"x"))],
    "symlink_dot": [archive(symlink("a", "."), entry("a/a/a/x", b"x"))],
    "lower_dir_mode_kept": [LOWER, archive(directory("d", mode=0o500, uid=9, mtime=77))],
    "dir_xattr_replaced": [archive(directory("d", pax=xattr("user.low"))), archive(directory("d", pax=xattr("user.high")))],
    "root_above_root": [archive(directory("/", mode=0o700)), archive(entry("a", b"a"))],
    "long_path_many": [archive(entry("short", pax={"path": "/".join(["n" * 99] * 40)}))],
    "pax_hdrcharset": [archive(entry("a", pax={"hdrcharset": "BINARY", "path": b"\xff\xfe"}))],
    "star": [archive(entry("a", b"a", prefix=b"p" * 20, tail=(508, b"tar\0")))],
    "base256_size": [archive(entry("a", b"hello", size=b"\x80" + bytes(10) + b"\x05"))],
    "fifo_over_lower_dir": [LOWER, archive(entry("d", kind=b"6"))],
}
