"""An installed program, and the processes that take over from it."""
import contextlib
import json
import os
import signal
import subprocess

from harness import log_lines
from stack import ROOT, topics, wait_until


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def end_later(cleanup, pid):
    """By a descriptor: when the test ends, the number may be another process' one."""
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        cleanup.callback(os.close, process)
        cleanup.callback(end, process)


def end(process):
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, signal.SIGKILL)


class Installed:
    """A program of its own file, as an installation has it, and those that took over from it."""

    def __init__(self, service, folder, cleanup, config=None, authority=None, held=None, **env):
        """held: the HeldSpecs of its reloads."""
        self.service, self.folder, self.cleanup = service, folder, cleanup
        self.path = folder / "bin/aggregator"
        self.path.parent.mkdir()
        self.install((service.build / "aggregator").read_bytes())
        self.program = service.prepare(config, **env)
        self.program.build = self.path.parent
        if held:
            held.give(self.program)
        if authority:
            self.program.serve_tls(*authority.issue("server"), authority.certificate)
        self.program.start()
        self.pid = self.first = self.program.process.pid
        service.wait_ready(self.program)

    def install(self, content):
        """As a package does: under another name first."""
        new = self.path.with_suffix(".new")
        new.write_bytes(content)
        new.chmod(0o755)
        new.rename(self.path)

    def install_waiting(self):
        """A program that waits for go(), and is then the right one."""
        self.install(f'#!/bin/sh\nwhile [ ! -e "{self.folder}/go" ]; do sleep 0.02; done\n'
                     f'exec {self.service.build / "aggregator"} "$@"\n'.encode())

    def go(self):
        (self.folder / "go").touch()

    def started(self):
        """The pid of the last process that was started to take over."""
        pid = wait_until("the start", lambda: self.logged(
            "a new process was started to take over"))[-1]["pid"]
        end_later(self.cleanup, pid)
        return pid

    def begin(self):
        """An upgrade that is not waited for."""
        process = subprocess.Popen(
            [self.service.build / "aggregator", "upgrade"], cwd=ROOT, env=self.program.env,
            stdout=subprocess.PIPE, text=True)
        self.cleanup.callback(process.kill)
        return process

    def upgrade(self):
        """(exit status, what it says)."""
        return self.result(self.begin())

    def result(self, process):
        said = json.loads(process.communicate()[0])
        if said["done"]:
            self.pid = said["pid"]
            end_later(self.cleanup, said["pid"])
        return process.returncode, said

    def wait_ended(self, pid):
        if pid == self.first:
            assert self.program.process.wait(60) == 0
        else:
            wait_until(f"the end of {pid}", lambda: not is_alive(pid))

    def logged(self, message):
        return log_lines(self.program, message)

    def has_all_partitions(self):
        return self.logged("partitions assigned")[-1]["has"] == 3 * (len(topics()) - 1)

    def check_it_goes_on(self):
        """Nothing has changed for clients, partitions and administration."""
        assert self.program.running() and self.program.get("/readyz")[0] == 200
        assert self.program.ask("status")["ready"] is True
        assert not self.logged("partitions revoked")

    def check_serves(self):
        self.service.wait_ready(self.program)
        assert self.program.ask("status")["port"] == self.program.port
