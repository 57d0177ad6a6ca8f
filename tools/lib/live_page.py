"""Serves docs/live.html and forwards /internal to the program, so that both have one origin.

    /usr/bin/python3 tools/lib/live_page.py [--port 8090] [--to 127.0.0.1:4003]

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
        elif self.path.startswith("/internal/"):
            self.forward()
        else:
            self.send_error(404)

    def send_page(self):
        page = PAGE.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def forward(self):
        """The connection's end is that of the stream."""
        self.close_connection = True
        headers = {name: self.headers[name] for name in FORWARDED if name in self.headers}
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

    def __init__(self, port, to, handler=Handler):
        super().__init__(("127.0.0.1", port), handler)
        self.to = to


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8090, help="of the page (default: 8090)")
    parser.add_argument("--to", default="127.0.0.1:4003", help="address of the program")
    options = parser.parse_args()
    with Server(options.port, options.to) as server:
        print(f"http://127.0.0.1:{server.server_port}/")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
