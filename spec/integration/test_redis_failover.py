"""Redis behind Sentinels: the program follows the primary, and serves nothing that the promoted replica
has not heard of. Servers that can never be used are refused at the start."""
import subprocess

import pytest
import redis as redis_client
import stack
from harness import dependencies, log_lines
from stack import wait_until
from test_cache import BATCH, names, register, rename
from views import status_path

PRIMARY = "main"


class Sentinel(stack.Process):
    """Watches one primary. Options are lines of its file, which it rewrites."""

    def __init__(self, folder, primary, options=()):
        super().__init__(folder)
        self.port = stack.free_port()
        self.file = folder / f"sentinel{self.port}.conf"
        self.file.write_text("\n".join([
            f"port {self.port}", "bind 127.0.0.1", f"dir {folder}",
            f"sentinel monitor {PRIMARY} 127.0.0.1 {primary.port} 1",
            f"sentinel down-after-milliseconds {PRIMARY} 300",
            f"sentinel failover-timeout {PRIMARY} 3000", *options, ""]))

    def start(self):
        self.spawn(["redis-server", self.file, "--sentinel"])
        self.wait_ready(lambda: stack.accepts(self.port))
        return self

    def ask(self, *words):
        with redis_client.Redis(port=self.port, decode_responses=True) as client:
            return client.execute_command("SENTINEL", *words)


def cluster_options():
    """Without a port of its own, the cluster's bus takes one that the kernel gives to clients, too."""
    return ("--cluster-enabled", "yes", "--cluster-port", stack.free_port())


def start_redis(folder, cleanup, *options):
    folder.mkdir(exist_ok=True)
    server = stack.Redis(folder, options)
    cleanup.callback(server.kill)
    return server.start()


class Deployment:
    """A primary, its replica, and a Sentinel, with a service on them."""

    def __init__(self, service, cleanup):
        self.service = service
        self.primary = start_redis(service.folder / "primary", cleanup, "--repl-diskless-sync-delay", "0")
        self.replica = start_redis(service.folder / "replica", cleanup, "--replicaof",
                                   f"127.0.0.1 {self.primary.port}")
        with self.client(self.replica) as client:
            wait_until("the replica's link", lambda: client.info("replication")[
                "master_link_status"] == "up")
        self.sentinel = Sentinel(service.folder, self.primary)
        cleanup.callback(self.sentinel.kill)
        self.sentinel.start()
        wait_until("the replica's name", lambda: self.sentinel.ask("replicas", PRIMARY))
        service.redis_url = f"redis-sentinel://127.0.0.1:1,127.0.0.1:{self.sentinel.port}/{PRIMARY}"

    @staticmethod
    def client(server):
        return redis_client.Redis(port=server.port)

    def has_answer(self, server):
        with self.client(server) as client:
            return client.exists(f"api:batch:{BATCH}")

    def wait_promoted(self):
        wait_until("the promotion", lambda: int(self.sentinel.ask(
            "get-master-addr-by-name", PRIMARY)[1]) == self.replica.port)


@pytest.fixture
def deployment(make_service, cleanup):
    made = Deployment(make_service(cleanup, redis="none"), cleanup)
    register(made.service)
    made.service.start()
    made.service.wait_ready()
    rename(made.service, "first.txt", 1)
    return made


def wait_caching(program, filename):
    """Until a response comes from the cache; each response on the way has the file name."""
    def cached():
        before = program.metric("ras_cache_hits_total")
        assert [names(program), names(program)] == [[filename]] * 2
        return program.metric("ras_cache_hits_total") > before
    wait_until("a cached answer", cached)


def test_a_promoted_replica_that_missed_an_invalidation_serves_nothing_outdated(deployment):
    service, program = deployment.service, deployment.service.program
    reader = service.start(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    for one in (program, reader):
        wait_caching(one, "first.txt")
    wait_until("the answer in the replica", lambda: deployment.has_answer(deployment.replica))
    with deployment.client(deployment.replica) as client:
        client.execute_command("REPLICAOF", "NO", "ONE")  # it misses what follows
    rename(service, "second.txt", 2)
    deployment.primary.kill()
    deployment.wait_promoted()
    assert deployment.has_answer(deployment.replica), "the outdated answer has survived"
    for one in (program, reader):
        wait_caching(one, "second.txt")
        wait_until("a healthy Redis", lambda one=one: dependencies(one)["redis"]["status"] == "healthy")
    rename(service, "third.txt", 3)
    wait_until("the invalidation", lambda: names(reader) == ["third.txt"])
    assert service.query("SELECT filename FROM essay_results") == [("third.txt",)]
    with deployment.client(deployment.replica) as client:
        assert client.keys("ras:seen:*")


def test_a_failover_beside_a_living_primary_moves_every_connection(deployment):
    """The former primary still takes connections, and writes, until it is made a replica."""
    service, program = deployment.service, deployment.service.program
    reader = service.start(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    for one in (program, reader):
        wait_caching(one, "first.txt")
    deployment.sentinel.ask("failover", PRIMARY)
    deployment.wait_promoted()
    for second in range(2, 8):
        if second == 5:  # a Sentinel does it within ten seconds, and also ends the connections
            with deployment.client(deployment.primary) as client:
                client.execute_command("REPLICAOF", "127.0.0.1", deployment.replica.port)
        rename(service, f"{second}.txt", second)
        for one in (program, reader):
            wait_until("the new answer", lambda one=one: names(one) == [f"{second}.txt"])
    with deployment.client(deployment.primary) as client:
        # Sentinel's have names; connections that nobody uses leave when somebody does.
        wait_until("no subscription and no audit there", lambda: not [
            one for one in client.client_list()
            if not one["name"] and one["cmd"] in ("subscribe", "hmget")])
    for one in (program, reader):
        wait_caching(one, "7.txt")


def test_the_password_of_a_sentinel_is_a_setting(make_service, cleanup):
    service = make_service(cleanup, redis="none")
    primary = start_redis(service.folder / "primary", cleanup)
    sentinel = Sentinel(service.folder, primary, ["requirepass sentinel-pw"])
    cleanup.callback(sentinel.kill)
    sentinel.start()
    service.redis_url = f"redis-sentinel://127.0.0.1:{sentinel.port}/{PRIMARY}"
    program = service.start()
    wait_until("the reason", lambda: dependencies(program)["redis"].get("reason") ==
               "a Sentinel refuses the login or the command")
    program = service.start(AGGREGATOR_REDIS_SENTINEL_PASSWORD="sentinel-pw")
    wait_until("a healthy Redis", lambda: dependencies(program)["redis"]["status"] == "healthy")
    shown = program.command("config", "redis.sentinel_password").stdout
    assert "sentinel-pw" not in shown + program.log.read_text()


@pytest.mark.parametrize("kind", ["cluster", "sentinel"])
def test_a_server_that_can_never_be_used_is_refused_at_the_start(make_service, cleanup, kind):
    service = make_service(cleanup, redis="none")
    folder = service.folder / kind
    if kind == "cluster":
        server = start_redis(folder, cleanup, *cluster_options())
        message = "must name a primary outside a cluster"
    else:
        folder.mkdir()
        server = Sentinel(folder, start_redis(folder / "primary", cleanup))
        cleanup.callback(server.kill)
        server.start()
        message = "redis-sentinel://HOST:PORT/PRIMARY"
    service.redis_url = f"redis://127.0.0.1:{server.port}"
    failed = subprocess.run([service.build / "aggregator", "run"], env=service.prepare().env,
                            capture_output=True, text=True, timeout=60, check=False)
    assert failed.returncode == 1
    assert message in failed.stdout + failed.stderr


def test_a_redis_that_becomes_a_cluster_is_reported_and_the_service_goes_on(bare_service, cleanup):
    service = bare_service
    register(service)
    program = service.start()
    service.wait_ready()
    service.redis.kill()
    service.redis.options = cluster_options()
    service.redis.start()
    wait_until("the reason", lambda: "Redis Cluster" in dependencies(program)["redis"].get("reason", ""))
    rename(service, "first.txt", 1)
    assert names(program) == ["first.txt"]
    assert program.get(status_path(BATCH))[0] == 200
    assert log_lines(program, "dependency is unavailable")


def test_a_redis_that_evicts_keys_is_warned_of_at_the_start(make_service, cleanup):
    service = make_service(cleanup, redis="none")
    server = start_redis(service.folder / "evicting", cleanup, "--maxmemory", "100mb",
                         "--maxmemory-policy", "volatile-lru")
    service.redis_url = server.url
    [line] = log_lines(service.start(), "Redis evicts keys: cached responses may be outdated until "
                                        "their time ends; set maxmemory-policy noeviction")
    assert line["policy"] == "volatile-lru"
