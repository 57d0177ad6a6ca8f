"""Redis over TLS: rediss:// with the server's certificate verified, certificates of clients, and files
that are replaced while the program runs."""
import json

import certificates
import pytest
import redis as redis_client
import stack
from harness import log_lines, read_records, slot_event
from stack import wait_until
from views import status_path


class TlsRedis(stack.Redis):
    """Serves TLS only."""

    def __init__(self, folder, authority, issued, clients="no"):
        super().__init__(folder)
        self.port_options = ("--port", "0", "--tls-port", str(self.port))
        self.url = f"rediss://127.0.0.1:{self.port}"
        self.present(authority, issued, clients)

    def present(self, authority, issued, clients="no"):
        """From the next start on."""
        self.options = (*self.port_options, "--tls-cert-file", issued[0], "--tls-key-file", issued[1],
                        "--tls-ca-cert-file", authority.certificate, "--tls-auth-clients", clients)


@pytest.fixture
def tls_service(make_service, cleanup):
    """A service without a Redis yet."""
    return make_service(cleanup, redis="none")


def serve(service, cleanup, authority, issued, clients="no"):
    service.redis = TlsRedis(service.folder, authority, issued, clients)
    cleanup.callback(service.redis.stop)
    service.redis.start()
    service.redis_url = service.redis.url
    return service.redis


def redis_of(program):
    status, body, _ = program.get("/readyz")
    return status, json.loads(body)["dependencies"]["redis"]


def wait_healthy(program):
    wait_until("a healthy Redis", lambda: redis_of(program)[1]["status"] == "healthy")


def wait_reason(program, reason):
    wait_until(f"the reason {reason}", lambda: redis_of(program)[1].get("reason") == reason)


def test_every_use_of_redis_goes_through_tls(tls_service, authority, cleanup, scripts):
    """The port serves TLS only: marks of events, the cache and its subscription, a script's call."""
    service = tls_service
    (scripts / "routes/ping.lua").write_text(
        'return {{ path = "/ping", handle = function() '
        'return {{ status = 200, body = require("redis").call("ECHO", "by TLS") }} end }}'
        .replace("{{", "{").replace("}}", "}"))
    serve(service, cleanup, authority, authority.issue("redis"))
    program = service.start(AGGREGATOR_REDIS_TLS_CA=str(authority.certificate), SCRIPTS_ROOT=str(scripts))
    service.wait_ready()
    service.feed("current")
    service.wait_committed(len(read_records("current")))
    wait_healthy(program)
    batch_id = service.query("SELECT batch_id FROM batch_results WHERE user_id IS NOT NULL LIMIT 1")[0][0]
    with redis_client.Redis(port=service.redis.port, ssl=True,
                            ssl_ca_certs=str(authority.certificate)) as client:
        wait_until("marks of events", lambda: client.keys("ras:seen:*"))
        wait_until("an answer in Redis", lambda: program.get(status_path(batch_id))[0] == 200 and
                   client.keys("api:batch:*"))
        assert [one for one in client.client_list() if one["sub"] == "1"]
    assert b"by TLS" in program.get("/ping")[1]
    assert not log_lines(program, "redis is unavailable: ingestion continues without it")
    assert program.metric("ras_cache_drops_total") == 0


@pytest.mark.parametrize("fault, reason", [
    ("ca", "the certificate of Redis is of an unknown CA"),
    ("name", "the certificate of Redis names another host"),
    ("expired", "the certificate of Redis is expired or not yet valid"),
    ("client", "Redis refuses the TLS connection"),
    ("plain", "Redis does not answer the TLS handshake")])
def test_a_fault_of_tls_has_its_reason_and_the_service_goes_on(tls_service, authority, cleanup, tmp_path,
                                                               fault, reason):
    service, trusted = tls_service, authority
    if fault == "plain":
        service.redis = stack.Redis(service.folder)
        cleanup.callback(service.redis.stop)
        service.redis_url = service.redis.start().url.replace("redis:", "rediss:")
    else:
        issued = authority.issue("redis", names="DNS:other" if fault == "name" else "IP:127.0.0.1",
                                 days=-1 if fault == "expired" else 30)
        serve(service, cleanup, authority, issued, "yes" if fault == "client" else "no")
    if fault == "ca":
        trusted = certificates.Authority(tmp_path / "other", "other")
    program = service.start(AGGREGATOR_REDIS_TLS_CA=str(trusted.certificate))
    wait_reason(program, reason)
    service.publish([slot_event("batch", "essay", "a.txt")])
    service.wait_committed(1)
    service.wait_ready()
    lines = log_lines(program, "dependency is unavailable")
    assert any(line["dependency"] == "redis" for line in lines), lines


def test_replaced_files_are_used_by_the_next_connection(tls_service, authority, cleanup, tmp_path):
    """Both sides' certificates and the CA change; the program is not restarted."""
    service, files = tls_service, tmp_path / "files"
    files.mkdir()
    used = {name: files / f"{name}.pem" for name in ("ca", "certificate", "key")}

    def hand_out(authority, server):
        certificate, key = authority.issue("client", names=None)
        for name, source in (("ca", authority.certificate), ("certificate", certificate), ("key", key)):
            certificates.replace(used[name], source)
        server.present(authority, authority.issue("redis"), "yes")

    server = serve(service, cleanup, authority, authority.issue("redis"), "yes")
    hand_out(authority, server)
    program = service.start(AGGREGATOR_REDIS_TLS_CA=str(used["ca"]), AGGREGATOR_REDIS_TLS_CERTIFICATE=str(used["certificate"]),
                            AGGREGATOR_REDIS_TLS_KEY=str(used["key"]))
    wait_healthy(program)
    other = certificates.Authority(tmp_path / "other", "other")
    hand_out(other, server)
    server.stop()
    server.start()
    wait_healthy(program)
    service.publish([slot_event("batch", "essay", "a.txt")])
    with redis_client.Redis(port=server.port, ssl=True, ssl_ca_certs=str(used["ca"]),
                            ssl_certfile=str(used["certificate"]), ssl_keyfile=str(used["key"])) as client:
        wait_until("the event's mark", lambda: client.keys("ras:seen:*"))


def test_files_that_cannot_be_used_are_named_before_anything_runs(tls_service, authority, tmp_path):
    service = tls_service
    certificate, key = authority.issue("client", names=None)
    other_key = authority.issue("other", names=None)[1]
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for ca, mine, mine_key, named in ((tmp_path / "absent.pem", "", "", "absent.pem"),
                                      (empty, "", "", "empty.pem"),
                                      (authority.certificate, certificate, other_key, other_key.name),
                                      (authority.certificate, certificate, "", "key")):
        program = service.prepare(REDIS_URL="rediss://127.0.0.1:1", AGGREGATOR_REDIS_TLS_CA=str(ca),
                                  AGGREGATOR_REDIS_TLS_CERTIFICATE=str(mine), AGGREGATOR_REDIS_TLS_KEY=str(mine_key))
        for command in ("check", "run"):
            failed = program.command(command, check=False)
            assert failed.returncode == 1 and named in failed.stderr + failed.stdout, failed.stderr
    assert key.exists()
