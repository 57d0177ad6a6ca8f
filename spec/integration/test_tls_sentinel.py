"""Sentinels over TLS: rediss-sentinel:// verifies Sentinels and servers by the addresses that the
Sentinels give, and follows a failover."""
import itertools

import certificates
import redis as redis_client
from harness import dependencies, slot_event
from stack import wait_until
from test_redis_failover import PRIMARY, Sentinel
from test_tls_redis import TlsRedis

REPLICATION = ("--tls-replication", "yes", "--repl-diskless-sync-delay", "0")


class TlsSentinel(Sentinel):
    """Serves TLS only, and tells names of hosts."""

    def __init__(self, folder, primary, authority, issued):
        self.authority = authority
        super().__init__(folder, primary, [
            f"tls-cert-file {issued[0]}", f"tls-key-file {issued[1]}", f"tls-ca-cert-file {authority.certificate}",
            "tls-auth-clients no", "tls-replication yes"])
        text = self.file.read_text().replace(f"port {self.port}\n", f"port 0\ntls-port {self.port}\n", 1)
        self.file.write_text("sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n" +
                             text.replace(f"{PRIMARY} 127.0.0.1", f"{PRIMARY} localhost", 1))

    def ask(self, *words):
        with redis_client.Redis(port=self.port, decode_responses=True, ssl=True,
                                ssl_ca_certs=str(self.authority.certificate)) as client:
            return client.execute_command("SENTINEL", *words)


def start_server(folder, authority, issued, cleanup, *options):
    folder.mkdir()
    server = TlsRedis(folder, authority, issued)
    server.options = (*server.options, *REPLICATION, *options)
    cleanup.callback(server.kill)
    return server.start()


def client_of(server, authority):
    return redis_client.Redis(port=server.port, ssl=True, ssl_ca_certs=str(authority.certificate))


def commit_one(service, number):
    service.publish([slot_event("batch", f"essay-{number}", "a.txt")])
    service.wait_committed(number)


def test_a_failover_is_followed_over_tls(make_service, cleanup, tmp_path):
    service, authority = make_service(cleanup, redis="none"), certificates.Authority(tmp_path / "ca")
    issued = authority.issue("redis", names="DNS:localhost")
    primary = start_server(service.folder / "primary", authority, issued, cleanup)
    replica = start_server(service.folder / "replica", authority, issued, cleanup,
                           "--replicaof", f"localhost {primary.port}", "--replica-announce-ip", "localhost")
    with client_of(replica, authority) as client:
        wait_until("the replica's link", lambda: client.info("replication")["master_link_status"] == "up")
    sentinel = TlsSentinel(service.folder, primary, authority, issued)
    cleanup.callback(sentinel.kill)
    sentinel.start()
    wait_until("the replica", lambda: "master-link-status', 'ok'" in str(sentinel.ask("replicas", PRIMARY)))
    service.redis_url = f"rediss-sentinel://localhost:{sentinel.port}/{PRIMARY}"
    program = service.start(AGGREGATOR_REDIS_TLS_CA=str(authority.certificate))
    service.wait_ready()
    wait_until("a healthy Redis", lambda: dependencies(program)["redis"]["status"] == "healthy")
    commit_one(service, 1)

    def marks(server):
        with client_of(server, authority) as client:
            return len(client.keys("ras:seen:*"))

    wait_until("the event's mark, replicated", lambda: marks(replica) == 1)
    primary.kill()
    wait_until("the promotion", lambda: int(sentinel.ask("get-master-addr-by-name", PRIMARY)[1]) == replica.port)
    numbers = itertools.count(2)

    def gets_a_mark():
        commit_one(service, next(numbers))
        return marks(replica) > 1

    # an event that meets the change is committed without a mark
    wait_until("a mark on the new primary", gets_a_mark, interval_s=0.5)


def test_a_sentinel_with_the_certificate_of_another_ca_is_refused(make_service, cleanup, tmp_path):
    service, authority = make_service(cleanup, redis="none"), certificates.Authority(tmp_path / "ca")
    other = certificates.Authority(tmp_path / "other", "other")
    primary = start_server(service.folder / "primary", authority, authority.issue("redis"), cleanup)
    sentinel = TlsSentinel(service.folder, primary, other, other.issue("redis"))
    cleanup.callback(sentinel.kill)
    sentinel.start()
    service.redis_url = f"rediss-sentinel://127.0.0.1:{sentinel.port}/{PRIMARY}"
    program = service.start(AGGREGATOR_REDIS_TLS_CA=str(authority.certificate))
    wait_until("the reason", lambda: dependencies(program)["redis"].get("reason") ==
               "the certificate of Redis is of an unknown CA")
