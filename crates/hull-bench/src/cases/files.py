"""What programs do with files, each thing timed: lines of a name and milliseconds."""
import os, random, shutil, sys, time

os.chdir(sys.argv[1])
SIZE = 32 << 20


def timed(name, work, *arguments):
    begin = time.monotonic()
    work(*arguments)
    print(name, (time.monotonic() - begin) * 1000, sep="\t", flush=True)


def small_files():
    os.mkdir("small")
    for number in range(300):
        with open(f"small/{number}", "wb", buffering=0) as file:
            file.write(b"x" * 1000)


def stat():
    for _ in range(3):
        for number in range(300):
            os.stat(f"small/{number}")


def write(flags):
    fd = os.open("large", os.O_WRONLY | os.O_CREAT | flags)
    block = os.urandom(1 << 20)
    for _ in range(SIZE >> 20):
        os.write(fd, block)
    os.fsync(fd)
    os.close(fd)


def read():
    fd = os.open("large", os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    while os.read(fd, 1 << 20):
        pass
    os.close(fd)


def random_reads():
    fd = os.open("large", os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    for _ in range(300):
        os.pread(fd, 4096, random.randrange(SIZE >> 12) << 12)
    os.close(fd)


def random_writes():
    fd = os.open("large", os.O_WRONLY)
    for _ in range(300):
        os.pwrite(fd, b"x" * 4096, random.randrange(SIZE >> 12) << 12)
    os.fsync(fd)
    os.close(fd)


def install():
    for package in range(20):
        for part in ("", "lib", "dist"):
            os.makedirs(f"node_modules/{package}/{part}", exist_ok=True)
            for number in range(5):
                path = f"node_modules/{package}/{part}/{number}.js"
                with open(path, "wb", buffering=0) as file:
                    file.write(b"x" * 2000)
                os.chmod(path, 0o644)


def walk():
    for directory, _, names in os.walk("node_modules"):
        for name in names:
            os.lstat(os.path.join(directory, name))


random.seed(1)
timed("300 small files made", small_files)
timed("900 stat", stat)
timed("32 MiB written", write, os.O_TRUNC)
timed("32 MiB read", read)
timed("300 random reads of 4 KiB", random_reads)
timed("300 random writes of 4 KiB", random_writes)
timed("npm install, 300 files", install)
timed("its tree walked", walk)
timed("its tree removed", shutil.rmtree, "node_modules")
shutil.rmtree("small")
os.remove("large")
