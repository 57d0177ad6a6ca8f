"""Certificates that are replaced while requests are answered, and the settings of TLS."""
import concurrent.futures
import json
import re
import ssl
import subprocess
import threading
import time

import certificates
import pytest
import stack
from harness import log_lines
from http_client import STATUS
from stack import wait_until
from tls_http import client_context, prepare


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certificates.Authority(tmp_path_factory.mktemp("tls"))


# ---- new certificates -----------------------------------------------------------------------

def serve(program, pair):
    """Writes a new certificate, then its key, as the program does not know that both come."""
    for name, source in zip(("CERTIFICATE", "KEY"), pair):
        certificates.replace(program.folder / f"served.{name.lower()}", source)


def presented(program):
    """The serial number of the certificate that a new connection gets."""
    with program.client() as client:
        return client.socket.getpeercert()["serialNumber"]


def presented_is_not(program, old):
    wait_until("another certificate", lambda: presented(program) != old)


def about(program):
    return program.ask_status()["certificates"][0]


def certificate_warnings(program):
    return [text for text in program.ask_status()["warnings"] if "certificate" in text]


@pytest.fixture(scope="module")
def renewable(world, authority):
    started = prepare(world, authority)
    started.ask_status = lambda: started.ask_admin("status")
    started.ask_admin = lambda verb: stack.Aggregator.ask(started, verb)
    started.start().wait_ready()
    yield started
    assert started.stop() == 0
    assert "Sanitizer" not in started.log.read_text()


def test_certificates_are_replaced_under_load_without_a_failed_request(renewable, authority):
    program, ended = renewable, threading.Event()

    def ask_often(keeps):
        count = 0
        while not ended.is_set():
            with program.client() as client:
                for _ in range(50 if keeps else 1):
                    assert client.request("/healthz").answer().status == 200
                    count += 1
        return count

    with program.client() as old, concurrent.futures.ThreadPoolExecutor() as pool:
        first = old.socket.getpeercert()["serialNumber"]
        counts = [pool.submit(ask_often, keeps) for keeps in (True, True, False, False)]
        try:
            for number in range(3):
                before = presented(program)
                serve(program, authority.issue(f"renewed{number}"))
                if number == 1:
                    program.ask_admin("reload")
                    assert presented(program) != before  # at once
                presented_is_not(program, before)
                old.request("/healthz").answer()
        finally:
            ended.set()
        assert old.socket.getpeercert()["serialNumber"] == first
        assert all(count.result() > 0 for count in counts)
    assert about(program)["serial"] == presented(program)
    assert log_lines(program, "listener uses a certificate")[-1]["serial"] == presented(program)


def test_new_files_that_cannot_be_used_change_nothing(renewable, authority):
    program = renewable
    served = presented(program)
    certificate, _ = authority.issue("half")
    certificates.replace(program.folder / "served.certificate", certificate)
    wait_until("the warning", lambda: certificate_warnings(program))
    (warning,) = certificate_warnings(program)
    assert "does not belong to the first certificate" in warning
    assert "served.key" in warning
    line = log_lines(program, "new certificate cannot be used: the listener keeps the old one")[-1]
    assert "does not belong" in line["error"]
    assert presented(program) == served
    answer = program.ask_admin("reload")
    assert answer["done"] is False and "does not belong" in json.dumps(answer)
    checked = program.command("check", check=False)
    assert checked.returncode == 1 and "does not belong" in checked.stderr
    certificates.replace(program.folder / "served.key", authority.folder / "half.key")
    assert "tls: good, the listener http has the certificate of 127.0.0.1, localhost, which expires at" in \
        program.command("check", check=False).stdout
    presented_is_not(program, served)
    wait_until("no warning", lambda: not certificate_warnings(program))


def test_an_end_that_is_near_is_warned_of(renewable, authority):
    program = renewable
    gauge = 'ras_tls_certificate_expiry_timestamp_seconds{listener="http"}'
    assert abs(program.samples()[gauge] - time.time() - 30 * 86400) < 3600
    assert about(program)["days_left"] in (29, 30)
    serve(program, authority.issue("soon", days=3))
    wait_until("the warning", lambda: any("expires at" in w for w in program.ask_status()["warnings"]))
    assert abs(program.samples()[gauge] - time.time() - 3 * 86400) < 3600
    serve(program, authority.issue("over", days=-1))
    wait_until("the warning", lambda: any("has expired" in w for w in program.ask_status()["warnings"]))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        program.client()
    serve(program, authority.issue("valid"))
    wait_until("no warning", lambda: not certificate_warnings(program))


@pytest.mark.parametrize("env, problem", [
    ({"AGGREGATOR_HTTP_TLS_CERTIFICATE": "/absent.pem"}, "http.tls_certificate is set without http.tls_key"),
    ({"AGGREGATOR_HTTP_TLS_CERTIFICATE": "/absent.pem", "AGGREGATOR_HTTP_TLS_KEY": "/absent.key"},
     "TLS of the listener http: /absent.pem cannot be read"),
    ({"AGGREGATOR_ADMIN_TLS_CLIENT_CA": "/absent.pem"}, "admin.tls_client_ca is set without"),
    ({"AGGREGATOR_HTTP_TLS_CLIENT_NAMES": "a.test"}, "http.tls_client_names is set without"),
    ({"AGGREGATOR_HTTP_TLS_MIN_VERSION": "1.1"}, "must be one of 1.2 1.3")])
def test_settings_that_contradict_are_named(world, env, problem):
    checked = world.prepare(env=env).command("check", check=False)
    assert checked.returncode == 1 and problem in checked.stderr, checked.stderr


# ---- names of clients -----------------------------------------------------------------------

def test_a_name_that_was_taken_out_is_no_key_on_open_connections(world, authority, tmp_path):
    names, caller = tmp_path / "names", b"X-Service-ID: api-gateway-service\r\n"
    names.write_text("stays.test, leaves.test")
    program = prepare(world, authority,
                      AGGREGATOR_HTTP_TLS_CLIENT_CA=str(authority.certificate),
                      AGGREGATOR_HTTP_TLS_CLIENT_CERTIFICATES="optional",
                      AGGREGATOR_HTTP_TLS_CLIENT_NAMES_FILE=str(names),
                      AGGREGATOR_HTTP_CLIENT_CERTIFICATE_IS_KEY="true",
                      AGGREGATOR_HTTP_KEEP_ALIVE_TIMEOUT_MS="600000").start().wait_ready()
    stays, leaves = (client_context(authority, name, f"DNS:{name}.test")
                     for name in ("stays", "leaves"))
    with program.client(tls=stays) as one, program.client(tls=leaves) as other:
        def statuses():
            return [client.request(STATUS, headers=caller).answer().status
                    for client in (one, other)]
        wait_until("the batch", lambda: statuses() == [200, 200])
        names.write_text("stays.test")
        assert stack.Aggregator.ask(program, "reload")["settings"] == ["http.tls_client_names"]
        assert statuses() == [200, 401]
    assert program.stop() == 0


# ---- docs/operate/tls.md --------------------------------------------------------------------

def test_the_page_is_followed_to_the_letter(world, tmp_path):
    page = (stack.ROOT / "docs/operate/tls.md").read_text().split("\n## Redis\n")[0]
    serve, make, look, ask, client = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    program = world.prepare()

    def bash(commands):
        text = commands.replace(":4003", f":{program.port}")
        path = f"{program.build}:{program.env['PATH']}"
        return subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=tmp_path, check=True,
                              env=program.env | {"PATH": path}, capture_output=True, text=True).stdout

    bash(make)
    settings = bash(serve + ask + "env | grep ^AGGREGATOR_")
    program.env |= dict(line.split("=", 1) for line in settings.splitlines())
    program.env["AGGREGATOR_HTTP_TLS_CLIENT_CERTIFICATES"] = "optional"
    program.tls = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    program.start().wait_ready()
    seen = bash(look)
    assert '"status":"healthy"' in seen and "Verify return code: 0" in seen
    assert "localhost, 127.0.0.1" in seen  # of status
    assert '"status":"healthy"' in bash(client)
    before = program.samples()
    assert before['ras_tls_handshakes_total{listener="http",version="TLSv1.3"}'] > 3
    assert program.stop() == 0
