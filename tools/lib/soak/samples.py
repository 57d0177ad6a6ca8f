"""Samples memory, descriptors, threads and connections of a process from /proc."""
import collections
import dataclasses
import pathlib
import re
import threading
import time

INTERVAL_S = 2
ESTABLISHED = "01"


@dataclasses.dataclass(frozen=True)
class Sample:
    memory_mb: float
    descriptors: int
    threads: int
    connections: dict  # {server: how many}

    def at_rest(self):
        """What must be no more in the end than before."""
        return {"descriptors": self.descriptors, "threads": self.threads,
                **{f"connections to {name}": count for name, count in self.connections.items()}}


def remote_ports(pid):
    """Number of connections of a process to each port."""
    sockets = set()
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets |= set(re.findall(r"socket:\[(\d+)\]", str(link.readlink())))
        except FileNotFoundError:
            pass  # closed meanwhile
    ports = collections.Counter()
    for line in pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[9] in sockets and fields[3] == ESTABLISHED:
            ports[int(fields[2].rsplit(":", 1)[1], 16)] += 1
    return ports


def take(program, proxies=None):
    """A sample of a program that runs; proxies: {server: the one by which it knows it}."""
    pid = program.process.pid
    status = dict(re.findall(r"^(\w+):\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(),
                             re.M))
    ports = remote_ports(pid)
    return Sample(int(status["VmRSS"]) / 1024,
                  len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir())), int(status["Threads"]),
                  {name: ports[proxy.port] for name, proxy in (proxies or {}).items()})


class Sampler:
    """A thread that samples every process at intervals."""

    def __init__(self, slots, proxies, path):
        self.slots, self.proxies, self.path = slots, proxies, path
        self.samples = {slot: [] for slot in slots}
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, name="sampler", daemon=True)

    def start(self):
        self.thread.start()

    def run(self):
        started = time.monotonic()
        with open(self.path, "w", encoding="utf-8", buffering=1) as out:
            while not self.stopping.wait(INTERVAL_S):
                for slot in self.slots:
                    try:
                        sample = take(slot.program, self.proxies)
                    except (OSError, AttributeError, KeyError):
                        continue  # it has just ended by itself: the driver's to report
                    self.samples[slot].append(sample)
                    print(f"{time.monotonic() - started:.0f}", slot, f"{sample.memory_mb:.1f}",
                          *sample.at_rest().values(), sep="\t", file=out)

    def stop(self):
        self.stopping.set()
        self.thread.join()
