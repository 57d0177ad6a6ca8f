"""Serves docs/live.html, or another page, and forwards all other paths to the program: one origin.

    /usr/bin/python3 tools/lib/live_page.py [--port 8090] [--to 127.0.0.1:4003] [--page FILE]

Listens on the loopback address alone: for a look, not for users."""
import argparse
import contextlib
import http.client
import http.server
import pathlib

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "live.html"
FORWARDED = ("X-Internal-API-Key", "X-Service-ID", "Last-Event-ID")
PIECE_BYTES = 65536


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/":
            self.send_page()
        else:
            self.forward()

    def send_page(self):
        page = self.server.page.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def forward(self):
        """The connection's end is that of the stream."""
        self.close_connection = True
        headers = {name: self.headers[name] for name in FORWARDED if name in self.headers}
        headers |= self.server.headers
        with contextlib.closing(http.client.HTTPConnection(self.server.to)) as program:
            try:
                program.request("GET", self.path, headers=headers)
                answer = program.getresponse()
            except OSError as error:
                self.send_error(502, explain=f"{self.server.to}: {error}")
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
            self.send_header("Connection", "close")
            self.end_headers()
            with contextlib.suppress(OSError, http.client.HTTPException):  # either side has gone
                while piece := answer.read1(PIECE_BYTES):
                    self.wfile.write(piece)
                    self.wfile.flush()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port, to, page=PAGE, headers=None, handler=Handler):
        """headers: credentials that the page cannot send, or should not know."""
        super().__init__(("127.0.0.1", port), handler)
        self.to, self.page, self.headers = to, page, headers or {}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8090, help="of the page (default: 8090)")
    parser.add_argument("--to", default="127.0.0.1:4003", help="address of the program")
    parser.add_argument("--page", type=pathlib.Path, default=PAGE, help="default: docs/live.html")
    options = parser.parse_args()
    with Server(options.port, options.to, options.page) as server:
        print(f"http://127.0.0.1:{server.server_port}/")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
