"""A command on a terminal of its own, a pty, of a given size."""
import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from stack import ROOT

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def plain(text):
    return CONTROL.sub("", text)


class Terminal:
    """`screen` is all that the command wrote."""

    def __init__(self, command, env, columns=80, rows=24, kind="xterm"):
        self.master, slave = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self.master)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.screen = ""
        self.process = subprocess.Popen(
            [str(word) for word in command], cwd=ROOT, env=env | {"TERM": kind}, stdin=slave,
            stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)

    def resize(self, columns, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys):
        os.write(self.master, keys.encode())

    def read(self, seconds=0.1):
        """Appends what has arrived; False at the end."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the last user of the terminal has ended
            return False
        self.screen += self.decoder.decode(data)
        return bool(data)

    def wait_for(self, condition):
        end = time.monotonic() + 120
        while not condition(self.screen):
            assert self.read() or condition(self.screen), f"ended with:\n{self.screen}"
            assert time.monotonic() < end, f"not seen in:\n{self.screen}"

    def finish(self, seconds=120):
        """Reads to the end; returns the exit status."""
        end = time.monotonic() + seconds
        while self.read() and time.monotonic() < end:
            pass
        return self.process.wait(timeout=seconds)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.master)
