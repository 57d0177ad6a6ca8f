"""Redis: a server without a disk."""
import subprocess

from .process import Process, accepts, free_port


class Redis(Process):
    """`options` are words for its command line."""

    def __init__(self, folder, options=()):
        super().__init__(folder)
        self.port, self.options = free_port(), options
        self.url = f"redis://127.0.0.1:{self.port}"

    def start(self):
        self.spawn(["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "",
                    "--dir", self.folder, *self.options])
        self.wait_ready(lambda: accepts(self.port))
        return self

    def run(self, *words):
        """One command; an error is an exception."""
        subprocess.run(["redis-cli", "-e", "-p", str(self.port), *words], check=True,
                       stdout=subprocess.DEVNULL)
