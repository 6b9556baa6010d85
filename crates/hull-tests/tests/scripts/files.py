"""What programs expect of a local disk, in the directory that is named; silent if all of it is so."""
import ctypes, errno, fcntl, mmap, os, stat, sys

os.chdir(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)


def refused(expected, work, *arguments):
    try:
        work(*arguments)
    except OSError as error:
        assert error.errno == expected, error
    else:
        raise AssertionError(f"{work} was not refused")


def fallocate(fd, mode, offset, length):
    offset, length = ctypes.c_int64(offset), ctypes.c_int64(length)
    if libc.fallocate(fd, mode, offset, length) != 0:
        raise OSError(ctypes.get_errno(), "fallocate")


def rename(old, new, flags):
    if libc.renameat2(-100, old.encode(), -100, new.encode(), flags) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def holes():
    fd = os.open("sparse", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x" * (1 << 20))
    fallocate(fd, 3, 256 << 10, 512 << 10)
    assert os.fstat(fd).st_size == 1 << 20 and os.fstat(fd).st_blocks * 512 < 600 << 10
    assert os.lseek(fd, 0, os.SEEK_HOLE) == 256 << 10
    assert os.lseek(fd, 256 << 10, os.SEEK_DATA) == 768 << 10
    assert os.pread(fd, 4, (256 << 10) - 2) == b"xx\0\0"
    fallocate(fd, 0, 0, 2 << 20)
    assert os.fstat(fd).st_size == 2 << 20 and os.fstat(fd).st_blocks * 512 >= 1900 << 10
    to = os.open("copy", os.O_RDWR | os.O_CREAT)
    assert os.copy_file_range(fd, to, 4096, 0, 8192) == 4096
    assert os.fstat(to).st_size == 12288
    assert os.pread(to, 9000, 8192) == b"x" * 4096
    os.ftruncate(to, 10)
    assert os.pread(to, 100, 0) == b"\0" * 10


def names():
    for name in "ab":
        open(name, "w").write(name)
    refused(errno.EEXIST, rename, "a", "b", 1)
    rename("a", "b", 2)
    assert open("a").read() == "b" and open("b").read() == "a"
    held = open("b", "r+")
    os.remove("b")
    held.write("held")
    held.seek(0)
    assert held.read() == "held" and os.fstat(held.fileno()).st_nlink == 0
    hidden = os.open(".", os.O_RDWR | os.O_TMPFILE)
    os.write(hidden, b"hidden")
    assert libc.linkat(-100, b"/proc/self/fd/%d" % hidden, -100, b"shown", 0x400) == 0
    assert open("shown").read() == "hidden"
    os.link("shown", "again")
    assert os.stat("again").st_ino == os.stat("shown").st_ino and os.stat("shown").st_nlink == 2
    os.mkdir("full")
    open("full/file", "w").close()
    refused(errno.ENOTEMPTY, os.rmdir, "full")
    refused(errno.ENOTEMPTY, os.rename, "scratch", "full")
    refused(errno.ENAMETOOLONG, open, "n" * 256)
    os.symlink("loop", "loop")
    refused(errno.ELOOP, open, "loop")
    names = {f"many{number}" for number in range(500)}
    for name in names:
        open("full/" + name, "w").close()
    assert set(os.listdir("full")) == names | {"file"}


def attributes():
    open("of", "w").close()
    os.utime("of", ns=(1234567890123456789, 1111111111987654321))
    found = os.stat("of")
    assert (found.st_atime_ns, found.st_mtime_ns) == (1234567890123456789, 1111111111987654321)
    os.setxattr("of", "user.colour", b"blue")
    assert os.getxattr("of", "user.colour") == b"blue" and "user.colour" in os.listxattr("of")
    refused(errno.EEXIST, os.setxattr, "of", "user.colour", b"red", os.XATTR_CREATE)
    os.removexattr("of", "user.colour")
    refused(errno.ENODATA, os.getxattr, "of", "user.colour")
    os.chown("of", 12, 34)
    os.chmod("of", 0o4755)
    child = os.fork()
    if child == 0:
        # Who writes and is not root takes set-id bits away.
        os.setgid(7)
        os.setuid(12)
        fd = os.open("of", os.O_WRONLY)
        os.write(fd, b"x")
        refused(errno.EPERM, os.chown, "of", 7, 7)
        refused(errno.EACCES, open, "private/file", "w")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    found = os.stat("of")
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12, 34, 0o755), found
    os.mkdir("group")
    os.chown("group", 0, 55)
    os.chmod("group", 0o2770)
    os.mkdir("group/below")
    assert os.stat("group/below").st_gid == 55 and os.stat("group/below").st_mode & 0o2000


def content():
    fd = os.open("direct", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    page = mmap.mmap(-1, 4096)
    page.write(b"d" * 4096)
    assert os.pwrite(fd, page, 8192) == 4096 and os.preadv(fd, [page], 8192) == 4096
    plain = os.open("direct", os.O_RDWR)
    shared = mmap.mmap(plain, 12288)
    assert shared[8192:8194] == b"dd"
    shared[0:6] = b"mapped"
    child = os.fork()
    if child == 0:
        shared[6:11] = b" both"
        os._exit(0)
    os.waitpid(child, 0)
    assert os.pread(plain, 11, 0) == b"mapped both"
    shared.flush()
    assert os.pread(plain, 11, 0) == b"mapped both"
    os.pwrite(plain, b"WRITTEN", 0)
    assert shared[0:7] == b"WRITTEN"
    appended = [os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND) for _ in range(2)]
    for number in range(10):
        os.write(appended[number % 2], b"%d" % number)
    assert open("log").read() == "0123456789"
    assert open("log", "a").tell() == 10
    os.fsync(plain)
    os.fsync(os.open(".", os.O_RDONLY))


def locks():
    fd = os.open("lock", os.O_RDWR | os.O_CREAT)
    fcntl.lockf(fd, fcntl.LOCK_EX, 10, 5)
    whole = open("whole", "w")
    fcntl.flock(whole, fcntl.LOCK_EX)
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        own = os.open("lock", os.O_RDWR)
        refused(errno.EAGAIN, fcntl.lockf, own, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0)
        fcntl.lockf(own, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 0)
        refused(errno.EAGAIN, fcntl.flock, open("whole"), fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(tell, b"x")
        fcntl.lockf(own, fcntl.LOCK_EX, 0, 0)
        os._exit(0)
    os.read(told, 1)
    # Closing any descriptor of the file unlocks.
    os.close(os.open("lock", os.O_RDWR))
    assert os.waitpid(child, 0)[1] == 0
    # So does the end of a process.
    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


os.mkdir("scratch")
os.chmod(".", 0o777)
os.mkdir("private", 0o700)
for check in (holes, names, attributes, content, locks):
    check()
