#!/usr/bin/python3
"""civetweb: what Debian's libcivetweb1 does where docs/DECISIONS.md says so. Prints a line each.

Needs libcivetweb1 and openssl. The library is called by ctypes; what may crash runs in a child."""
import ctypes
import multiprocessing
import os
import pathlib
import socket
import ssl
import subprocess
import tempfile
import time

LIBRARY = "libcivetweb.so.1"
TLS, IPV6 = 2, 8  # MG_FEATURES_…
BEGIN_REQUEST = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Callbacks(ctypes.Structure):
    """The first member of struct mg_callbacks, and room for the others."""
    _fields_ = [("begin_request", BEGIN_REQUEST), ("others", ctypes.c_void_p * 40)]


class Server:
    def __init__(self, **options):
        self.lib = ctypes.CDLL(LIBRARY)
        self.lib.mg_start.restype = ctypes.c_void_p
        self.lib.mg_start.argtypes = [ctypes.POINTER(Callbacks), ctypes.c_void_p,
                                      ctypes.POINTER(ctypes.c_char_p)]
        self.lib.mg_write.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
        self.features = self.lib.mg_init_library(TLS | IPV6)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        options["listening_ports"] = f"127.0.0.1:{self.port}" + options.pop("suffix", "")
        words = [word.encode() for pair in options.items() for word in pair]
        self.callbacks = Callbacks(begin_request=BEGIN_REQUEST(self.answer))
        self.context = self.lib.mg_start(self.callbacks, None,
                                         (ctypes.c_char_p * (len(words) + 1))(*words, None))

    def answer(self, connection):
        self.lib.mg_write(connection, ANSWER, len(ANSWER))
        return 200

    def connect(self, sent=b""):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=3)
        client.sendall(sent)
        return client

    def status(self, request=REQUEST):
        try:
            with self.connect(request) as client:
                return client.recv(1024).split(b" ")[1].decode()
        except (TimeoutError, IndexError):
            return "no answer in 3 s"


def show_framing(server):
    for what, request in {
        "a folded header": b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\n 2\r\n\r\n",
        "two Content-Lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
                               b"Content-Length: 5\r\n\r\n",
        "lines that end with LF alone": b"GET / HTTP/1.1\nHost: x\n\n",
        "Transfer-Encoding and Content-Length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
                                                b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    }.items():
        print(f"{what}: {server.status(request)}")


def show_threads(threads, clients):
    server = Server(num_threads=str(threads), request_timeout_ms="30000")
    slow = []
    for _ in range(clients):
        try:
            slow.append(server.connect(REQUEST[:-2]))
        except OSError:
            break
    print(f"{threads} threads, {len(slow)} clients whose head does not end: a further request: "
          f"{server.status()}")


def make_certificate(folder):
    pem = folder / "both.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                   check=True, capture_output=True)
    pem.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return pem


def serve_tls(pem, ports):
    server = Server(suffix="s", ssl_certificate=str(pem))
    ports.put(server.port if server.context else 0)
    time.sleep(30)


def show_tls():
    with tempfile.TemporaryDirectory() as folder:
        ports = multiprocessing.Queue()
        child = multiprocessing.Process(target=serve_tls, daemon=True,
                                        args=(make_certificate(pathlib.Path(folder)), ports))
        child.start()
        port = ports.get(timeout=10)
        outcome = "mg_start fails"
        if port:
            context = ssl._create_unverified_context()
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
                    outcome = context.wrap_socket(plain).version()
            except OSError as error:
                outcome = str(error)
            child.join(2)
            outcome += f"; the server's exit status: {child.exitcode}"
        print(f"a TLS handshake: {outcome}")
        child.kill()


def main():
    server = Server(num_threads="4", enable_keep_alive="yes")
    print("IPv6 is compiled in:", bool(server.features & IPV6))
    show_framing(server)
    show_threads(4, 4)
    show_threads(1024, 2000)
    show_tls()
    os._exit(0)  # mg_stop would wait for the threads that wait for clients


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
