"""Prints every path of the root file system with all that a layer can say about it."""

import hashlib
import os
import stat
import time

SKIP = {b"/proc", b"/sys", b"/dev"}
HULL_MANAGED = {b"/etc/hosts", b"/etc/hostname", b"/etc/resolv.conf"}
inodes = {}


def describe(path):
    info = os.lstat(path)
    fields = [repr(path)[2:-1], oct(info.st_mode), info.st_uid, info.st_gid]
    if not stat.S_ISDIR(info.st_mode):
        fields += [info.st_nlink, info.st_size, hex(info.st_rdev)]
        first = inodes.setdefault((info.st_dev, info.st_ino), path)
        if first != path:
            fields.append("= " + repr(first)[2:-1])
    # What the engine itself makes or mounts over has the time of the start. A directory that no
    # layer has an entry for has the time at which docker unpacked, and none in Hull.
    recent = (time.time() - 3600) * 1e9
    if path not in SKIP | HULL_MANAGED | {b"/", b"/etc", b"/.dockerenv", b"/etc/mtab"}:
        unset = stat.S_ISDIR(info.st_mode) and not 0 < info.st_mtime_ns < recent
        fields.append("unset" if unset else info.st_mtime_ns)
    if stat.S_ISLNK(info.st_mode):
        fields.append(os.readlink(path))
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        fields.append((name, os.getxattr(path, name, follow_symlinks=False).hex()[:200]))
    if stat.S_ISREG(info.st_mode) and path not in HULL_MANAGED:
        with open(path, "rb") as file:
            fields.append(hashlib.file_digest(file, "sha256").hexdigest()[:16])
    print(*fields)
    if stat.S_ISDIR(info.st_mode) and path not in SKIP:
        for name in sorted(os.listdir(path)):
            describe(os.path.join(path, name))


describe(b"/")
