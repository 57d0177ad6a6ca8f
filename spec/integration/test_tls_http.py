"""HTTPS on both listeners: versions, certificates of both sides, hostile and slow clients. Clients are
Python's ssl. test_tls_renewal.py replaces certificates."""
import contextlib
import json
import pathlib
import random
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
import warnings

import certificates
import pytest
from harness import log_lines
from http_client import KEYS, STATUS, Client
from stack import free_port, wait_until
from test_hostile_http import GET, REQUESTS
from tls_http import client_context, prepare

ADMIN_KEY = "operator-key-0123456789"
HANDSHAKE_MS = 1000
HANDSHAKES = 200  # under way at most


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certificates.Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def program(world, authority):
    """The gateway's listener wants client certificates; the administration's requires them."""
    ca = str(authority.certificate)
    started = prepare(world, authority,
                      AGGREGATOR_HTTP_TLS_CLIENT_CA=ca,
                      AGGREGATOR_HTTP_TLS_CLIENT_CERTIFICATES="optional",
                      AGGREGATOR_HTTP_CLIENT_CERTIFICATE_IS_KEY="true",
                      AGGREGATOR_HTTP_HANDSHAKE_TIMEOUT_MS=str(HANDSHAKE_MS),
                      AGGREGATOR_HTTP_MAX_HANDSHAKES=str(HANDSHAKES),
                      ADMIN_PORT=str(free_port()), ADMIN_API_KEY=ADMIN_KEY,
                      AGGREGATOR_ADMIN_TLS_CLIENT_CA=ca,
                      AGGREGATOR_ADMIN_TLS_CLIENT_NAMES="operator.test,spiffe://test/operator,plain")
    for name in ("CERTIFICATE", "KEY"):
        started.env[f"AGGREGATOR_ADMIN_TLS_{name}"] = started.env[f"AGGREGATOR_HTTP_TLS_{name}"]
    started.admin_port = int(started.env["ADMIN_PORT"])
    yield started.start().wait_batch()
    assert started.stop() == 0
    log = started.log.read_text()
    assert "Sanitizer" not in log and "runtime error" not in log


@pytest.fixture(scope="module")
def unverified(world, authority):
    """A program whose listeners want no client certificates."""
    return prepare(world, authority).start().wait_ready()


def failures(program, listener, reason):
    name = f'ras_tls_handshake_failures_total{{listener="{listener}",reason="{reason}"}}'
    return program.samples().get(name, 0)


@contextlib.contextmanager
def one_failure(program, listener, reason, text):
    """The block's handshake fails for that reason, which is counted and logged."""
    before = failures(program, listener, reason)
    seen = len(log_lines(program, "TLS handshake failed"))
    yield
    wait_until(f"the failure {reason}", lambda: failures(program, listener, reason) == before + 1)
    lines = log_lines(program, "TLS handshake failed")[seen:]
    assert [line["reason"] for line in lines] == [reason], lines
    assert text in lines[0]["error"] and lines[0]["client"].startswith("127.0.0.1:")
    assert lines[0]["listener"] == listener


# ---- versions and certificates --------------------------------------------------------------

def test_versions_1_2_and_1_3_are_served(program):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=None)
        context.load_verify_locations(program.env["AGGREGATOR_HTTP_TLS_CLIENT_CA"])
        context.minimum_version = context.maximum_version = version
        with program.client(tls=context) as client:
            assert client.request(STATUS, headers=KEYS).answer().status == 200
            assert client.socket.version() == version.name.replace("v1_", "v1.")


def test_version_1_1_is_refused(program, authority):
    context = client_context(authority)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with one_failure(program, "http", "version", "no TLS version"):
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            program.client(tls=context)


def test_another_protocol_than_http_1_1_is_refused(program, authority):
    context = client_context(authority)
    context.set_alpn_protocols(["h2"])
    with one_failure(program, "http", "protocol", "ALPN"):
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            program.client(tls=context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with program.client(tls=context) as client:
        assert client.socket.selected_alpn_protocol() == "http/1.1"


def test_a_client_that_does_not_trust_the_ca_is_counted(program, tmp_path):
    stranger = ssl.create_default_context(cafile=certificates.Authority(tmp_path).certificate)
    with one_failure(program, "http", "alert", "does not trust the CA"):
        with pytest.raises(ssl.SSLCertVerificationError):
            program.client(tls=stranger)


def test_a_wrong_name_is_refused_by_the_client(program, authority):
    raw = socket.create_connection(("127.0.0.1", program.port), timeout=120)
    with raw, pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        client_context(authority).wrap_socket(raw, server_hostname="elsewhere.test")


def ask_admin(program, context, key=ADMIN_KEY):
    request = urllib.request.Request(f"https://127.0.0.1:{program.admin_port}/admin/status",
                                     headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=120, context=context) as answer:
        return json.load(answer)


@pytest.mark.parametrize("name, names", [("a", "DNS:operator.test"), ("b", "DNS:x.test,DNS:OPERATOR.test"),
                                         ("c", "URI:spiffe://test/operator"), ("plain", None)])
def test_a_client_is_admitted_by_dns_name_uri_or_common_name(program, authority, name, names):
    status = ask_admin(program, client_context(authority, name, names))
    assert [one["listener"] for one in status["certificates"]] == ["http", "admin"]


@pytest.mark.parametrize("scheme, status", [("https", 200), ("http", 403)])
def test_a_session_begins_from_an_origin_with_tls_alone(program, authority, scheme, status):
    address = f"127.0.0.1:{program.admin_port}"
    request = urllib.request.Request(f"https://{address}/console/session", method="POST", headers={
        "Authorization": f"Bearer {ADMIN_KEY}", "Origin": f"{scheme}://{address}"})
    context = client_context(authority, "operator", "DNS:operator.test")
    try:
        with urllib.request.urlopen(request, context=context, timeout=120) as answer:
            assert answer.status == status
    except urllib.error.HTTPError as refused:
        assert refused.code == status


def test_the_cookie_of_a_session_that_began_over_tls_is_for_tls_alone(program, authority):
    """Also of a browser that says by Fetch Metadata alone where the request comes from."""
    request = urllib.request.Request(
        f"https://127.0.0.1:{program.admin_port}/console/session", method="POST",
        headers={"Authorization": f"Bearer {ADMIN_KEY}", "Sec-Fetch-Site": "same-origin"})
    context = client_context(authority, "operator", "DNS:operator.test")
    with urllib.request.urlopen(request, context=context, timeout=120) as answer:
        assert answer.headers["Set-Cookie"].endswith("; Secure")


def test_a_certificate_does_not_replace_the_key_of_the_administration(program, authority):
    context = client_context(authority, "keyless", "DNS:operator.test")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask_admin(program, context, "wrong")
    assert log_lines(program, "request refused")[-1]["client_certificate"] == "operator.test"


def test_clients_without_a_good_certificate_are_refused(program, authority, tmp_path):
    foreign = certificates.Authority(tmp_path, "foreign")
    cases = [("no_certificate", "sent no certificate", {}),
             ("unknown_ca", "not signed by a CA of", {"name": "f", "names": "DNS:operator.test",
                                                      "issuer": foreign}),
             ("name", "is for plain.test, which is not", {"name": "g", "names": "DNS:plain.test"}),
             ("name", "is for impostor.test, which", {"name": "plain", "names": "DNS:impostor.test"}),
             ("expired", "has expired", {"name": "h", "names": "DNS:operator.test", "days": -1})]
    for reason, text, options in cases:
        context = client_context(authority, **options)
        with one_failure(program, "admin", reason, text):
            # TLS 1.3: the client learns it from its first read.
            with pytest.raises((ssl.SSLError, urllib.error.URLError), match="alert|ALERT"):
                ask_admin(program, context)


def test_a_certificate_stands_for_a_key_that_is_not_sent(program, authority):
    certified = client_context(authority, "gateway", "DNS:gateway.test")
    caller = b"X-Service-ID: api-gateway-service\r\n"
    wrong = b"X-Internal-API-Key: wrong\r\n"
    for context, headers, status in [(certified, caller, 200), (certified, caller + wrong, 401),
                                     (certified, b"X-Service-ID: stranger\r\n", 401),
                                     (certified, b"", 401), (program.tls, caller, 401),
                                     (program.tls, KEYS, 200), (certified, KEYS, 200)]:
        with program.client(tls=context) as client:
            assert client.request(STATUS, headers=headers).answer().status == status, headers
    assert log_lines(program, "request refused")[-2]["client_certificate"] == "gateway.test"


# ---- one connection -------------------------------------------------------------------------

@pytest.mark.parametrize("data, status", REQUESTS)
def test_requests_are_framed_as_without_tls(program, data, status):
    with program.client() as client:
        answer = client.send(data).answer()
        assert answer.status == status
        if status not in (200, 404, 405):
            assert answer.header("Connection") == "close"
            assert client.closed()  # by close_notify: else ssl raises


def test_plain_http_is_told_to_use_https(program):
    with one_failure(program, "http", "plain_http", "https://"):
        with program.client(tls=None) as client:
            answer = client.request("/healthz").answer()
            assert answer.status == 400 and "https://" in answer.json()["error"]
            assert client.closed()


def test_other_bytes_are_disconnected(program):
    for data in (b"SSH-2.0-OpenSSH_9\r\n", b"\0" * 100, b"\x16\x03\x01\x40\x00" + b"a" * 100):
        with program.client(tls=None) as client:
            client.send(data)
            while not client.closed():  # an alert may come first
                client.pending = b""
    assert program.ask("/healthz").status == 200


def client_hello(context):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def test_mutated_handshakes_are_refused_or_answered(program):
    draw, hello = random.Random(22), client_hello(program.tls)
    for _ in range(300):
        data = bytearray(hello)
        for _ in range(draw.choice([1, 1, 3, 20])):
            data[draw.randrange(len(data))] = draw.randrange(256)
        if draw.random() < 0.2:
            del data[draw.randrange(len(data)):]
        with program.client(tls=None) as client:
            client.send(bytes(data))
            client.end()
            while not client.closed():
                client.pending = b""
    assert program.ask("/healthz").status == 200


def test_connections_are_kept_and_pipelined_over_many_records(program):
    one = b"GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n"  # above 16 KiB: several records
    with program.client() as client:
        for _ in range(3):
            assert client.request(STATUS, headers=KEYS).answer().status == 200
        threading.Thread(target=lambda: client.send(one * 99 + one[:-2] + b"Connection: close\r\n\r\n")
                         ).start()
        bodies = [client.answer().body for _ in range(100)]
        assert len(set(bodies)) == 1 and len(bodies[0]) > 16384
        assert client.closed()


def test_a_request_in_single_bytes_and_records_is_answered(program):
    with program.client() as client:
        for byte in GET + b"\r\n":
            client.send(bytes([byte]))
        assert client.answer().status == 200


def test_a_client_that_ends_its_side_gets_its_response(program):
    with program.client() as client:
        client.request(STATUS, headers=KEYS)
        client.end()
        assert client.answer().status == 200
        assert client.closed()


LATE_RESPONSES = 400  # of more than 16 KiB: the sockets of both sides hold 4 MB


def send_queue(program, client):
    """Bytes that the program has written to this connection and the client's socket has not taken."""
    ends = [f":{program.port:04X}", f":{client.socket.getsockname()[1]:04X}"]
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines():
        words = line.split()
        if [words[1][-5:], words[2][-5:]] == ends:
            return int(words[4].split(":")[0], 16)
    raise AssertionError("no connection")


def wait_full(program, client):
    """Until the program's socket has bytes and takes no more."""
    queues = [0]

    def is_full():
        queues.append(send_queue(program, client))
        return queues[-1] == queues[-2] > 0

    wait_until("a full socket", is_full, interval_s=0.2)


def test_a_response_waits_for_a_client_that_reads_late(program):
    with program.client() as client:
        client.send(b"GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n" * LATE_RESPONSES)
        wait_full(program, client)
        assert {client.answer().status for _ in range(LATE_RESPONSES)} == {200}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_unless_clients_are_verified(program, unverified, authority, version):
    for server, resumes in ((unverified, True), (program, False)):
        context = client_context(authority)
        context.minimum_version = context.maximum_version = version
        with server.client(tls=context) as client:
            assert client.request("/healthz").answer().status == 200  # a ticket has come
            session = client.socket.session
        raw = socket.create_connection(("127.0.0.1", server.port), timeout=120)
        with context.wrap_socket(raw, server_hostname="localhost", session=session) as again:
            assert again.session_reused == resumes


# ---- slow handshakes ------------------------------------------------------------------------

def stalled(program):
    """A connection that has sent the begin of a ClientHello."""
    client = Client(program.port)
    client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    return client


def test_a_handshake_that_stalls_is_ended_in_time(program):
    with one_failure(program, "http", "timeout", "http.handshake_timeout_ms"):
        began = time.monotonic()
        with stalled(program) as client:
            assert client.closed()
            assert time.monotonic() - began > HANDSHAKE_MS / 1000 - 0.1
    with program.client(tls=None) as silent:
        assert silent.closed()


def test_500_slow_handshakes_delay_no_request(program):
    before = failures(program, "http", "too_many")
    with contextlib.ExitStack() as clients:
        kept = clients.enter_context(program.client())
        for round in range(5):
            for _ in range(100):
                clients.enter_context(stalled(program))
            began = time.monotonic()
            assert program.ask(STATUS).status == 200  # with a handshake of its own
            assert kept.request(STATUS, headers=KEYS).answer().status == 200
            assert time.monotonic() - began < 9.5
        assert failures(program, "http", "too_many") + failures(program, "http", "timeout") > before
    wait_until("their end", lambda: program.samples()["ras_http_connections"] <= 1)
