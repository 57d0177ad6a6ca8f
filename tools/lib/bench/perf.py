"""perf: samples stacks of processes, and counts events in them."""
import collections
import contextlib
import re
import signal
import subprocess

# The processor's clock, which virtual machines have too; odd, so as not to beat with timers.
SAMPLING = ("-e", "cpu-clock", "-F", "499", "--call-graph", "dwarf,16384",
            "-m", "64M")  # for a perf that waits for a processor: what does not fit is lost
NAMED_CALLS = ("poll", "read", "write", "futex", "sendto", "sendmsg", "recvfrom", "recvmsg",
               "epoll_wait", "pread64", "pwrite64", "fdatasync", "lseek", "mmap", "munmap", "brk",
               "madvise", "clock_nanosleep", "fcntl", "ioctl", "epoll_pwait", "getrusage")
SYSTEM_CALLS = ("raw_syscalls:sys_enter", *(f"syscalls:sys_enter_{name}" for name in NAMED_CALLS))
ALLOCATORS = ("malloc", "calloc", "realloc", "posix_memalign")
GROUP = "aggregator_bench"


def short(event):
    if event == SYSTEM_CALLS[0]:
        return "any"
    return re.sub(r"^(syscalls:sys_enter_|aggregator_bench:)", "", event)


@contextlib.contextmanager
def running(*words, **options):
    """`perf WORDS` until the context ends; its process."""
    with subprocess.Popen(["perf", *words], **options) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)


@contextlib.contextmanager
def sampling(path, pids):
    with running("record", "-q", *SAMPLING, "-o", path, "-p", ",".join(map(str, pids))):
        yield


def samples(path):
    """The lines of `perf script`."""
    with subprocess.Popen(["perf", "script", "--no-inline", "-F", "comm,pid,tid,ip,sym,dso", "-i",
                           path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as script:
        yield from script.stdout


@contextlib.contextmanager
def counting(events, pids):
    """{thread's name: {event: how often}}, filled when the context ends."""
    found = collections.defaultdict(collections.Counter)
    with running("stat", "-x", ",", "--per-thread", "-e", ",".join(events), "-p",
                 ",".join(map(str, pids)), stderr=subprocess.PIPE, text=True) as process:
        yield found
        process.send_signal(signal.SIGINT)
        for line in process.stderr:
            thread, times, _, event, *_ = line.split(",")
            if times.isdigit():  # of a thread that has slept it says <not counted>
                found[thread.rsplit("-", 1)[0].strip()][event] += int(times)


@contextlib.contextmanager
def probes(library, functions):
    """The events of calls to functions of a library."""
    path = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    path = re.search(rf"{re.escape(library)} .*=> (\S+)", path)[1]
    subprocess.run(["perf", "probe", "-q", "-x", path,
                    *(f"--add={GROUP}:{name}={name}" for name in functions)], check=True)
    try:
        yield [f"{GROUP}:{name}" for name in functions]
    finally:
        subprocess.run(["perf", "probe", "-q", "-d", f"{GROUP}:*"], check=True)
