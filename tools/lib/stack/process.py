"""Child processes with a log, ports for them, and waiting."""
import os
import pathlib
import random
import signal
import socket
import subprocess
import time


def wait_until(what, condition, seconds=120, interval_s=0.05):
    """The first true value of condition(); an AssertionError naming `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"gave up waiting for {what}")
        time.sleep(interval_s)


RESERVED = []  # the sockets by whose abstract names other processes see which ports are taken


def free_port():
    """A port below those that the kernel gives to outgoing connections: no other process takes it
    before its server starts. It stays reserved while this process lives."""
    while True:
        port = random.randrange(10000, 32000)
        name = socket.socket(socket.AF_UNIX)
        with socket.socket() as listener:
            try:
                name.bind(f"\0aggregator-port-{port}")
                listener.bind(("127.0.0.1", port))
            except OSError:
                name.close()
                continue
        RESERVED.append(name)
        return port


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def tail(path):
    """The last lines of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-20:])


def tethered(command, user=None, signal_name="KILL", parent=None):
    """Wraps a command so that it gets the signal when this process dies, also if this process dies
    before the kernel has registered that."""
    switches = ["--reuid", user, "--regid", user, "--clear-groups"]
    return ["setpriv", "--pdeathsig", signal_name,
            *(switches if user and os.geteuid() == 0 else ()), "--",
            "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(parent or os.getpid()),
            *map(str, command)]


class Process:
    """A child process with a log file. Subclasses define its command and when it is ready."""

    stop_signal = signal.SIGTERM
    death_signal = "KILL"  # sent to it when its parent dies
    start_limit_s = 60

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / f"{type(self).__name__.lower()}.log"
        self.process = None

    def spawn(self, command, user=None, **options):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                tethered(command, user, self.death_signal), stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True, **options)

    def wait_ready(self, ready):
        """Returns when ready() is true; raises with the log if the process ends."""
        wait_until(f"{type(self).__name__} (see {self.log})",
                   lambda: not self.running() or ready(), self.start_limit_s)
        if not self.running():
            raise AssertionError(f"{type(self).__name__} did not start:\n{tail(self.log)}")

    def finish(self, what):
        """Waits for a preparing process; raises if it fails."""
        if self.process.wait() != 0:
            raise AssertionError(f"{what} failed:\n{tail(self.log)}")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def pids(self):
        """Its own and its children's: a server's workers or backends."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True,
                               check=False)
        return [self.process.pid, *map(int, found.stdout.split())]

    def send(self, number):
        if self.running():
            self.process.send_signal(number)

    def kill(self):
        self.send(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def stop(self, seconds=50):
        """Stops it by SIGTERM; returns the exit status."""
        if self.process is None:
            return 0
        self.send(self.stop_signal)
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
