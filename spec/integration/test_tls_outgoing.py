"""HTTPS of scripts: the server's certificate is verified by the system's CAs or scripts.http_tls_ca."""
import http.server
import ssl
import threading

import pytest
from stack import wait_until

ROUTE = """return { path = "/ask", handle = function()
  local response, failure = require("http").request({ url = "URL" })
  return { status = 200, body = response and response.body or failure.message }
end }
"""


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"secure")

    def log_message(self, *_):
        pass


def serve(cleanup, issued):
    """The URL of an HTTPS server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*issued)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    cleanup.callback(thread.join)
    cleanup.callback(server.shutdown)
    return f"https://127.0.0.1:{server.server_address[1]}/"


def asked(make_service, cleanup, scripts, issued, **env):
    (scripts / "routes/ask.lua").write_text(ROUTE.replace("URL", serve(cleanup, issued)))
    program = make_service(cleanup, redis="none").start(SCRIPTS_ROOT=str(scripts), **env)
    wait_until("the database", lambda: program.get("/readyz/read")[0] == 200)
    return program.get("/ask")[1].decode()


@pytest.mark.parametrize("names, days, known, expected", [
    ("IP:127.0.0.1", 30, True, "secure"), ("IP:127.0.0.1", 30, False, "local issuer certificate"),
    ("DNS:other", 30, True, "no alternative certificate subject name matches"), ("IP:127.0.0.1", -1, True, "expired")])
def test_a_script_asks_only_a_server_whose_certificate_is_verified(make_service, cleanup, scripts, authority,
                                                                   names, days, known, expected):
    env = {"AGGREGATOR_SCRIPTS_HTTP_TLS_CA": str(authority.certificate)} if known else {}
    text = asked(make_service, cleanup, scripts, authority.issue("server", names, days), **env)
    assert expected in text
