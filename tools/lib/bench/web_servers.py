"""The servers that the program's answers are compared with. All give the same bytes for the same
path, as fast as each can; their settings are in web/."""
import pathlib
import signal
import subprocess

import stack

FILES = pathlib.Path(__file__).resolve().parent / "web"
NGINX = "/usr/sbin/nginx"
NGINX_MODULES = "/usr/lib/nginx/modules"


class Civetweb(stack.Process):
    """tools/civet.c. It has a thread for each connection; a few more for those that only look."""

    def __init__(self, folder, build, connections):
        super().__init__(folder)
        self.build, self.threads, self.port = build, connections + 4, stack.free_port()

    def start(self, body):
        path = self.folder / "body"
        path.write_bytes(body)
        self.spawn([self.build / "civet", self.port, self.threads, path])
        self.wait_ready(lambda: stack.accepts(self.port))
        return self


class Nginx(stack.Process):
    """Answers on file_port and tls_port from a file, on lua_port by a GET from Redis. identity: the
    paths of its certificate and key."""

    stop_signal = signal.SIGQUIT
    death_signal = "TERM"  # its workers would outlive one that is killed

    def __init__(self, folder, redis_port, identity):
        super().__init__(folder)
        self.redis_port, self.identity = redis_port, identity
        self.file_port, self.tls_port, self.lua_port = (stack.free_port() for _ in range(3))

    def write_config(self):
        values = {"MODULES": NGINX_MODULES, "FOLDER": self.folder, "CODE": FILES,
                  "FILE_PORT": self.file_port, "LUA_PORT": self.lua_port,
                  "REDIS_PORT": self.redis_port, "TLS_PORT": self.tls_port,
                  "CERTIFICATE": self.identity[0], "KEY": self.identity[1]}
        text = (FILES / "nginx.conf").read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        path = self.folder / "nginx.conf"
        path.write_text(text)
        return path

    def keep(self, path, body):
        """Puts the answer where a server of files finds it, and into Redis."""
        file = self.folder / "files" / path.lstrip("/")
        file.parent.mkdir(parents=True)
        file.write_bytes(body)
        batch = path.split("/")[-2]
        subprocess.run(["redis-cli", "-p", str(self.redis_port), "-x", "SET", f"answer:{batch}"],
                       input=body, check=True, stdout=subprocess.DEVNULL)

    def start(self, path, body):
        self.keep(path, body)
        self.spawn([NGINX, "-p", self.folder, "-e", "stderr", "-c", self.write_config()])
        self.wait_ready(lambda: stack.accepts(self.file_port) and stack.accepts(self.lua_port))
        return self
