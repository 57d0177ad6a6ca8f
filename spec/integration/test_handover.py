"""`aggregator upgrade`: the installed program takes over from the running one: no request fails and no event
is lost. test_handover_faults.py has the upgrades that fail."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import certificates
import psycopg2
import pytest
from confluent_kafka import Producer
from harness import edited_config, of_threads, read_records, slot_event
from http_client import KEYS, Client
from installed import Installed, is_alive
from stack import ROOT, accepts, topics, wait_until
from views import status_path


def test_the_new_process_takes_over_and_the_old_one_ends(installed):
    status, said = installed.upgrade()
    assert status == 0 and said["version"] == said["version_before"]
    assert said["pid"] != installed.first and is_alive(said["pid"])
    installed.wait_ended(installed.first)
    installed.check_serves()
    os.kill(installed.pid, signal.SIGTERM)
    installed.wait_ended(installed.pid)
    assert not pathlib.Path(installed.program.env["ADMIN_SOCKET"]).exists()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_kept_connection_gets_one_more_response_and_the_next_is_the_new_process_s(
        bare_service, tmp_path, cleanup, secure):
    authority = certificates.Authority(tmp_path / "tls") if secure else None
    installed = Installed(bare_service, tmp_path, cleanup, authority=authority,
                          AGGREGATOR_HTTP_KEEP_ALIVE_TIMEOUT_MS="60000",
                          AGGREGATOR_HTTP_REQUEST_TIMEOUT_MS="60000")
    program = installed.program
    tls = program.tls if secure else None
    with Client(program.port, tls=tls) as kept, Client(program.port, tls=tls) as fresh:
        assert kept.request("/healthz").answer().header("Connection") is None
        assert installed.upgrade()[0] == 0
        assert is_alive(installed.first), "it waits for its connections"
        for client in (kept, fresh):
            answer = client.request("/readyz/read").answer()
            assert (answer.status, answer.header("Connection")) == (200, "close")
            assert client.closed()
    installed.wait_ended(installed.first)
    installed.check_serves()


# ---- the service manager -----------------------------------------------------------------------------

def test_the_service_manager_learns_the_new_main_process(install, manager):
    installed = install(WATCHDOG_USEC="1000000", **manager.env)
    assert manager.wait_for(READY="1")["pid"] == installed.first
    _, said = installed.upgrade()
    assert manager.wait_for(MAINPID=str(said["pid"]))["pid"] == installed.first
    manager.wait_for(READY="1", pid=said["pid"])
    manager.wait_for(WATCHDOG="1", pid=said["pid"])
    installed.wait_ended(installed.first)
    fields = [message.keys() for message in manager.read() if message["pid"] == installed.first]
    assert not any("STOPPING" in names for names in fields), "the service does not stop"


def test_it_takes_sockets_that_the_service_manager_opened(bare_service, cleanup):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        program = bare_service.prepare(PORT=str(listener.getsockname()[1]))
        program.port = listener.getsockname()[1]
        with open(program.log, "a") as log:
            program.process = subprocess.Popen(
                ["sh", "-c", 'exec 3<&0 </dev/null; LISTEN_PID=$$ exec "$0" run',
                 program.build / "aggregator"], cwd=ROOT, stdin=listener, stdout=log, stderr=log,
                env=program.env | {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "http"})
        bare_service.wait_ready(program)
        assert program.stop() == 0


def test_it_closes_an_inherited_socket_that_it_has_no_use_for(bare_service, tmp_path, cleanup):
    config = edited_config(bare_service.folder / "edited.lua")
    installed = Installed(bare_service, tmp_path, cleanup, config, ADMIN_PORT="0",
                          ADMIN_API_KEY="a-key-of-sixteen-bytes")
    port = installed.logged("running")[-1]["admin_port"]
    config.write_text(config.read_text().replace('list(env_or_file("ADMIN_API_KEY"))', "{}"))
    assert accepts(port) and installed.upgrade()[0] == 0
    installed.wait_ended(installed.first)
    assert not accepts(port)
    assert installed.logged("an inherited socket is closed: the configuration has no use for it")


# ---- the consumer group ------------------------------------------------------------------------------

def has_workers(pid):
    return any(name.startswith("ingest ") for name in of_threads(pid, "comm").values())


def test_a_static_member_hands_its_partitions_over_without_a_rebalance(make_service, apache, tmp_path,
                                                                        cleanup):
    service = make_service(cleanup, apache)
    config = edited_config(service.folder / "edited.lua", (
        "options = {},", 'options = { ["group.instance.id"] = "one" },'))
    installed = Installed(service, tmp_path, cleanup, config, AGGREGATOR_HTTP_KEEP_ALIVE_TIMEOUT_MS="60000",
                          AGGREGATOR_HTTP_REQUEST_TIMEOUT_MS="60000")
    assert has_workers(installed.first)
    with Client(installed.program.port) as kept:
        assert kept.request("/healthz").answer().status == 200
        assert installed.upgrade()[0] == 0
        wait_until("the end of its workers", lambda: not has_workers(installed.first))
        assert kept.request("/healthz").answer().status == 200, "it has waited for its connections alone"
    installed.wait_ended(installed.first)
    installed.check_serves()
    service.feed("first-unlinked")
    service.wait_committed(len(read_records("first-unlinked")))
    assert [line["has"] for line in installed.logged("partitions assigned")] == \
        [3 * (len(topics()) - 1)] * 2
    assert not installed.logged("the kafka client is replaced")


# ---- under load ---------------------------------------------------------------------------------

UPGRADES = int(os.environ.get("UPGRADES", "2"))  # each second one is a downgrade: tools/upgrades
REQUESTS = int(os.environ.get("UPGRADE_REQUESTS", "10000"))
RATE = 2000  # requests a second
EVENTS = 200  # a second
TOPIC = "huleedu.els.essay.slot.assigned.v1"


def versions(build):
    """The program, and another release of it."""
    bytes_ = (build / "aggregator").read_bytes()
    assert bytes_.count(b"0.1.0")
    return {"0.1.0": bytes_, "0.1.9": bytes_.replace(b"0.1.0", b"0.1.9")}


class Load:
    """Requests over kept and new connections, cached and not, by a client that tries nothing twice."""

    def __init__(self, service, folder, batches, cleanup):
        paths = [status_path(batch) for batch in batches] + ["/healthz", "/openapi.json"]
        head = "GET %s HTTP/1.1\r\nHost: h\r\n" + KEYS.decode()
        requests = folder / "requests"
        requests.write_text("".join(head % path + "\r\n" for path in paths) +
                            "".join(head % path + "Connection: close\r\n\r\n" for path in paths))
        self.process = subprocess.Popen(
            [service.build / "ask", "--rate", str(RATE), str(service.program.port), "24",
             str(REQUESTS / RATE), requests, "}", "}\n"], stdout=subprocess.PIPE, text=True,
            env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0"})
        cleanup.callback(self.process.kill)

    def result(self):
        return json.loads(self.process.communicate()[0])


class Events:
    """Publishes events at an even rate, and measures how long each waits for its commit."""

    def __init__(self, service):
        self.service, self.times, self.running = service, {}, True
        self.longest_s, self.published = 0.0, 0
        self.threads = [threading.Thread(target=self.publish), threading.Thread(target=self.watch)]
        for thread in self.threads:
            thread.start()

    def publish(self):
        producer = Producer({"bootstrap.servers": self.service.kafka.brokers, "linger.ms": 0})
        began = time.monotonic()

        def delivered(error, message):
            assert error is None
            self.times.setdefault(message.partition(), {})[message.offset()] = time.monotonic()

        while self.running:
            event = slot_event(f"batch-{self.published % 5}", f"essay-{self.published}", "a file")
            producer.produce(TOPIC, json.dumps(event["value"]), event["key"], callback=delivered)
            self.published += 1
            producer.poll(max(0.0, began + self.published / EVENTS - time.monotonic()))
        producer.flush()

    def committed(self, connection):
        with connection.cursor() as cursor:
            cursor.execute("SELECT partition, next_offset FROM aggregator_state.consumer_offsets "
                           "WHERE topic = %s", [TOPIC])
            return dict(cursor.fetchall())

    def watch(self):
        with contextlib.closing(psycopg2.connect(self.service.database_url)) as connection:
            connection.autocommit = True
            while self.running:
                before = time.monotonic()
                for partition, offset in self.committed(connection).items():
                    came = self.times.get(partition, {}).get(offset)
                    self.longest_s = max(self.longest_s, before - came if came else 0)
                time.sleep(0.01)  # a sample of a measurement, not a wait

    def end(self):
        self.running = False
        for thread in self.threads:
            thread.join()


def test_no_request_fails_and_no_event_is_lost_over_upgrades(make_service, apache, tmp_path, cleanup):
    service = make_service(cleanup, apache)
    installed = Installed(service, tmp_path, cleanup)
    service.feed("first-unlinked")
    service.wait_committed(len(read_records("first-unlinked")))
    batches = [batch for batch, in service.query("SELECT batch_id FROM batch_results")]
    fed = service.committed_events()
    events = Events(service)
    cleanup.callback(events.end)
    wait_until("events", lambda: service.committed_events() > fed + EVENTS)
    load = Load(service, tmp_path, batches, cleanup)
    releases = versions(service.build)
    pids, pauses = [installed.pid], []
    for number in range(UPGRADES):
        version = list(releases)[(number + 1) % 2]
        installed.install(releases[version])
        events.longest_s = 0
        status, said = installed.upgrade()
        assert (status, said.get("version")) == (0, version), said
        installed.wait_ended(pids[-1])
        pids.append(said["pid"])
        wait_until("all partitions", installed.has_all_partitions)
        committed = service.committed_events()
        wait_until("new events", lambda: service.committed_events() > committed + EVENTS)
        pauses.append(events.longest_s)
    result = load.result()
    events.end()
    assert (result["failed"], result["mixed"], result["broken"]) == (0, 0, 0), result
    assert result["good"] >= REQUESTS * 0.99 and len(set(pids)) == UPGRADES + 1
    print(f"\nrequests: {result}\nseconds that the slowest event waited at each upgrade: "
          f"{[round(pause, 2) for pause in pauses]}")
    service.wait_committed(fed + events.published)
    assert service.query("SELECT count(DISTINCT essay_id), count(*) FROM essay_results "
                         "WHERE essay_id LIKE 'essay-%%'") == [(events.published,) * 2]
    assert service.query("SELECT sum(applied), sum(duplicate) FROM aggregator_state.consumer_offsets "
                         "WHERE topic = %s", TOPIC)[0][1] in (0, None)
