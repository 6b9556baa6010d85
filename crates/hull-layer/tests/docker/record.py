#!/usr/bin/env python3
"""Records what Docker's overlay2 driver makes of the layers in cases.py.

Usage (as root): record.py OUTPUT.jsonl [CASE...]. DOCKER_HOST names a daemon of this machine whose storage driver is
overlay2. Every line of the output is one case; each string of a recorded tree is `path|type|mode|uid|gid|mtime|nlink|detail|xattrs`.
"""

import base64
import gzip
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
import time

import cases


def docker(*args, **more):
    return subprocess.run(["docker", *args], capture_output=True, **more)


def image(layers):
    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/x"]}, "rootfs": {
        "type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]}}
    config = json.dumps(config).encode()
    members = {f"{i}/layer.tar": layer for i, layer in enumerate(layers)}
    members["config.json"] = config
    members["manifest.json"] = json.dumps([{"Config": "config.json", "RepoTags": ["oracle:case"],
                                            "Layers": [f"{i}/layer.tar" for i in range(len(layers))]}]).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def describe(root):
    lines = []
    root = os.fsencode(root)
    for directory, names, files in os.walk(root):
        for name in [b""] * (directory == root) + names + files:
            path = os.path.join(directory, name) if name else directory
            try:
                st = os.lstat(path)
            except FileNotFoundError:  # overlayfs lists whiteouts in directories that are in one layer only
                continue
            detail = b""
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as file:
                    detail = b"%d:%s" % (st.st_size, hashlib.sha256(file.read()).hexdigest()[:16].encode())
            elif stat.S_ISLNK(st.st_mode):
                detail = os.readlink(path)
            elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
                detail = b"%d,%d" % (os.major(st.st_rdev), os.minor(st.st_rdev))
            xattrs = {x: os.getxattr(path, x, follow_symlinks=False).hex() for x in os.listxattr(path, follow_symlinks=False)}
            nlink = 0 if stat.S_ISDIR(st.st_mode) else st.st_nlink
            fields = [path[len(root) + 1:], stat.filemode(st.st_mode)[0], oct(stat.S_IMODE(st.st_mode))[2:], st.st_uid,
                      st.st_gid, mtime(st), nlink, detail, " ".join(f"{k}={v}" for k, v in sorted(xattrs.items()))]
            text = [f if isinstance(f, bytes) else str(f).encode() for f in fields]
            lines.append(b"|".join(t.replace(b"\n", b"\\n") for t in text).decode("latin-1"))
    return sorted(lines)


def mtime(st):
    """Time of unpacking, which Docker gives to directories without an entry, is written as `now`."""
    recent = abs(time.time() - st.st_mtime) < 3600
    return "now" if recent else "%d.%09d" % divmod(st.st_mtime_ns, 10 ** 9)


def view(tag):
    data = json.loads(docker("image", "inspect", tag).stdout)[0]["GraphDriver"]["Data"]
    lower = data["UpperDir"] + (":" + data["LowerDir"] if "LowerDir" in data else "")
    with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryDirectory() as at:
        subprocess.run(["mount", "-t", "overlay", "-o", f"ro,lowerdir={lower}:{empty}", "overlay", at], check=True)
        try:
            return describe(at)
        finally:
            subprocess.run(["umount", at], check=True)


def main():
    out = {}
    for name, layers in cases.CASES.items():
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        loaded = docker("load", "-q", input=image(layers))
        record = {"layers": [base64.b64encode(gzip.compress(layer, mtime=0)).decode() for layer in layers]}
        if loaded.returncode == 0:
            record["tree"] = view("oracle:case")
            docker("image", "rm", "-f", "oracle:case")
        else:
            record["error"] = loaded.stderr.decode(errors="replace").strip()[:200]
        out[name] = record
        print(name, record.get("error", ""))
    with open(sys.argv[1], "w") as file:
        for name, record in out.items():
            file.write(json.dumps({"name": name, **record}) + "\n")


main()
