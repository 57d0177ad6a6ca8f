"""`aggregator upgrade`: the installed program takes over from the running one, or nothing happens."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

import certificates
import psycopg2
import pytest
from confluent_kafka import Producer
from harness import edited_config, log_lines, read_records, slot_event
from http_client import KEYS, Client
from scripts_copy import HeldSpecs, command
from stack import FULL_CONFIG, ROOT, accepts, topics, wait_until, with_retention
from views import status_path


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def end_later(cleanup, pid):
    """By a descriptor: when the test ends, the number may be another process' one."""
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        cleanup.callback(os.close, process)
        cleanup.callback(end, process)


def end(process):
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, signal.SIGKILL)


class Installed:
    """A program of its own file, as an installation has it, and those that took over from it."""

    def __init__(self, service, folder, cleanup, config=None, authority=None, held=None, **env):
        """held: the HeldSpecs of its reloads."""
        self.service, self.folder, self.cleanup = service, folder, cleanup
        self.path = folder / "bin/aggregator"
        self.path.parent.mkdir()
        self.install((service.build / "aggregator").read_bytes())
        self.program = service.prepare(config, **env)
        self.program.build = self.path.parent
        if held:
            held.give(self.program)
        if authority:
            self.program.serve_tls(*authority.issue("server"), authority.certificate)
        self.program.start()
        self.pid = self.first = self.program.process.pid
        service.wait_ready(self.program)

    def install(self, content):
        """As a package does: under another name first."""
        new = self.path.with_suffix(".new")
        new.write_bytes(content)
        new.chmod(0o755)
        new.rename(self.path)

    def install_waiting(self):
        """A program that waits for go(), and is then the right one."""
        self.install(f'#!/bin/sh\nwhile [ ! -e "{self.folder}/go" ]; do sleep 0.02; done\n'
                     f'exec {self.service.build / "aggregator"} "$@"\n'.encode())

    def go(self):
        (self.folder / "go").touch()

    def started(self):
        """The pid of the last process that was started to take over."""
        pid = wait_until("the start", lambda: self.logged(
            "a new process was started to take over"))[-1]["pid"]
        end_later(self.cleanup, pid)
        return pid

    def begin(self):
        """An upgrade that is not waited for."""
        process = subprocess.Popen(
            [self.service.build / "aggregator", "upgrade"], cwd=ROOT, env=self.program.env,
            stdout=subprocess.PIPE, text=True)
        self.cleanup.callback(process.kill)
        return process

    def upgrade(self):
        """(exit status, what it says)."""
        return self.result(self.begin())

    def result(self, process):
        said = json.loads(process.communicate()[0])
        if said["done"]:
            self.pid = said["pid"]
            end_later(self.cleanup, said["pid"])
        return process.returncode, said

    def wait_ended(self, pid):
        if pid == self.first:
            assert self.program.process.wait(60) == 0
        else:
            wait_until(f"the end of {pid}", lambda: not is_alive(pid))

    def logged(self, message):
        return log_lines(self.program, message)

    def has_all_partitions(self):
        return self.logged("partitions assigned")[-1]["has"] == 3 * (len(topics()) - 1)

    def check_it_goes_on(self):
        """Nothing has changed for clients, partitions and administration."""
        assert self.program.running() and self.program.get("/readyz")[0] == 200
        assert self.program.ask("status")["ready"] is True
        assert not self.logged("partitions revoked")

    def check_serves(self):
        self.service.wait_ready(self.program)
        assert self.program.ask("status")["port"] == self.program.port


@pytest.fixture
def install(bare_service, tmp_path, cleanup):
    """install(config=None, **options): an Installed that runs."""
    return lambda config=None, **options: Installed(bare_service, tmp_path, cleanup, config, **options)


@pytest.fixture
def installed(install):
    return install()


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


# ---- the new process does not get ready --------------------------------------------------------------


def test_a_damaged_program_changes_nothing(installed):
    installed.install(b"not a program")
    assert installed.upgrade() == (1, {
        "done": False, "error": "the new process cannot start: Exec format error"})
    installed.install(b"#!/bin/sh\nexit 3\n")
    assert installed.upgrade() == (1, {"done": False, "error": "the new process ended before it took "
                                       "over: its log says why"})
    assert [(line["level"], line["error"]) for line in installed.logged(
        "the upgrade failed: this process goes on")] == [
            ("error", "the new process cannot start: Exec format error"),
            ("error", "the new process ended before it took over: its log says why")]
    installed.check_it_goes_on()
    installed.install((installed.service.build / "aggregator").read_bytes())
    assert installed.upgrade()[0] == 0, "the next one is not disturbed"


def test_a_wrong_configuration_or_script_changes_nothing(bare_service, install, scripts):
    config = edited_config(bare_service.folder / "edited.lua")
    installed = install(config, SCRIPTS_ROOT=str(scripts))
    good = config.read_text()
    config.write_text(good.replace("loops = 2", 'loops = "two"'))
    status, said = installed.upgrade()
    assert status == 1 and "http.loops" in said["error"], said
    config.write_text(good)
    route = scripts / "routes/batch_status.lua"
    text = route.read_text()
    route.write_text("this is no Lua\n" + text)
    status, said = installed.upgrade()
    assert status == 1 and "routes/batch_status.lua:1" in said["error"], said
    route.write_text(text)
    installed.check_it_goes_on()


def test_a_database_without_its_migrations_changes_nothing(install, tmp_path):
    sql = tmp_path / "sql"
    shutil.copytree(ROOT / "sql", sql)
    installed = install(SQL_ROOT=str(sql))
    (sql / "migrations/9001_later.sql").write_text("SELECT 1;\n")
    assert installed.upgrade() == (1, {
        "done": False, "error": "the new process cannot start: the database lacks 1 migration of this "
        "program: run `aggregator migrate` first"})
    installed.check_it_goes_on()


def test_a_new_process_that_is_not_ready_in_time_is_ended(bare_service, install):
    installed = install(edited_config(bare_service.folder / "edited.lua", (
        "upgrade_timeout_ms = 60000", "upgrade_timeout_ms = 1000")))
    installed.install_waiting()
    status, said = installed.upgrade()
    assert status == 1 and "did not get ready in time" in said["error"]
    pid = installed.started()
    wait_until("its end", lambda: not is_alive(pid))
    installed.check_it_goes_on()


def test_a_new_process_that_is_killed_changes_nothing(installed):
    installed.install_waiting()
    process = installed.begin()
    os.kill(installed.started(), signal.SIGKILL)
    assert installed.result(process)[0] == 1
    installed.check_it_goes_on()


STATIC = '["group.instance.id"] = "one"'


@pytest.mark.parametrize("options, end", [("", signal.SIGKILL), (STATIC, signal.SIGKILL), ("", signal.SIGTERM)],
                         ids=["dynamic", "static", "stopped"])
def test_a_new_process_that_ends_while_it_takes_over_leaves_all_to_the_old_one(
        bare_service, install, options, end):
    config = edited_config(bare_service.folder / "edited.lua", (
        "options = {},", f"options = {{ {options} }},"))
    installed = install(config)
    process = installed.begin()
    wait_until("the takeover", lambda: installed.logged("this process takes clients and partitions"))
    bare_service.kafka.send(signal.SIGSTOP)  # the new process waits for its partitions
    os.kill(installed.started(), end)
    if end == signal.SIGTERM:
        # It leaves the group. Kafka must not stand still for longer than a session: librdkafka's mock cluster then
        # removes members that wait in JoinGroup, which get no reply (Kafka keeps them).
        bare_service.kafka.send(signal.SIGCONT)
    assert installed.result(process)[0] == 1
    assert installed.program.running() and installed.program.get("/healthz")[0] == 200
    bare_service.kafka.send(signal.SIGCONT)
    bare_service.publish([slot_event("a-batch", "an-essay", "a file")])
    bare_service.wait_committed(1)
    installed.check_serves()


def test_an_old_process_that_is_killed_leaves_all_to_the_new_one(installed):
    installed.install_waiting()
    installed.begin()
    pid = installed.started()
    installed.program.kill()
    installed.go()
    wait_until("the port", lambda: installed.program.get("/healthz")[0] == 200)
    installed.check_serves()
    assert installed.logged("the process that started this one has ended: this one takes over")
    assert is_alive(pid)


def test_a_stop_of_the_old_process_ends_both(installed):
    installed.install_waiting()
    process = installed.begin()
    pid = installed.started()
    assert installed.program.stop() == 0
    assert installed.result(process) == (1, {"done": False, "error": "the program is stopping"})
    wait_until("the end of the new one", lambda: not is_alive(pid))


# ---- at once with other commands ---------------------------------------------------------------------


GREETING = """return {
  follows = { essay_results = "essay_id" },
  query = "reaction_greeting",
  publish = function(row)
    return { topic = "essays.greeted.v1", key = row.key, value = {}, identity = row.key, at = row.now_us }
  end,
}
"""
GREETED = """SELECT essay_id AS key, (extract(epoch FROM now()) * 1000000)::bigint AS now_us
FROM essay_results WHERE essay_id = ANY(:keys::text[])
"""


def declare_what_acts(scripts, sql, folder):
    """A retention and a reaction: what they do remains, also if their scripts are taken back."""
    shutil.copy(with_retention(folder / "declared", 400, 30) / "view.lua", scripts / "view.lua")
    (scripts / "reactions").mkdir(exist_ok=True)
    (scripts / "reactions/greeting.lua").write_text(GREETING)
    (sql / "queries/reaction_greeting.sql").write_text(GREETED)


def test_brokers_that_do_not_answer_change_nothing(bare_service, install, tmp_path):
    """Nor do its scripts."""
    config, key = bare_service.folder / "edited.lua", 'brokers = env("KAFKA_BOOTSTRAP_SERVERS", '
    line = next(line for line in FULL_CONFIG.read_text().splitlines() if key in line)
    scripts, sql = (shutil.copytree(ROOT / name, tmp_path / name) for name in ("scripts", "sql"))
    installed = install(edited_config(config), SCRIPTS_ROOT=str(scripts), SQL_ROOT=str(sql))
    bare_service.publish([slot_event("a-batch", "an-essay", "a file")])
    bare_service.wait_committed(1)
    bare_service.query("INSERT INTO aggregator_state.reaction_marks (reaction, key) "
                       "VALUES ('reactions/greeting', 'an-essay')")
    declare_what_acts(scripts, sql, tmp_path)
    edited_config(config, (line, '    brokers = "127.0.0.1:1",'))
    status, said = installed.upgrade()
    assert status == 1 and said["error"].startswith(
        "the new process cannot start: no broker of kafka.brokers (127.0.0.1:1) answers within 5 s")
    installed.check_it_goes_on()
    horizon, greeting = "SELECT root FROM aggregator_state.retention", \
        "SELECT identity FROM aggregator_state.outbox WHERE source = 'reactions/greeting'"
    assert bare_service.query(horizon) == [] and bare_service.query(greeting) == []
    bare_service.kafka.kill()
    wait_until("the outage", lambda: installed.program.get("/readyz")[0] == 503)
    assert installed.upgrade()[0] == 0  # neither reaches Kafka
    wait_until("the horizon", lambda: bare_service.query(horizon))
    wait_until("the message", lambda: bare_service.query(greeting) == [("an-essay",)])


def test_another_admin_socket_takes_a_restart_and_a_warning(bare_service, install):
    config, key = bare_service.folder / "edited.lua", 'socket = env("ADMIN_SOCKET", "aggregator.sock")'
    installed = install(edited_config(config))
    here = installed.program.env["ADMIN_SOCKET"]
    edited_config(config, (key, 'socket = "/tmp/elsewhere.sock"'))
    assert installed.upgrade()[0] == 0
    (line,) = installed.logged("the inherited admin socket has another path than the configuration: "
                               "commands reach this process with --socket PATH")
    assert (line["path"], line["configured"]) == (here, "/tmp/elsewhere.sock")
    asked = installed.program.command("health", "ready", "--socket", here, check=False)
    assert '"service":"program0"' in asked.stdout, asked


def test_one_upgrade_at_a_time_and_no_reload_meanwhile(installed):
    installed.install_waiting()
    process = installed.begin()
    installed.started()
    assert installed.upgrade() == (1, {"done": False, "error": "another upgrade is under way"})
    assert installed.program.ask("reload") == {
        "error": "an upgrade is under way: reload when it has ended"}
    installed.go()
    assert installed.result(process)[0] == 0
    installed.check_serves()


def test_an_upgrade_during_a_reload(install, scripts, tmp_path):
    specs = HeldSpecs(tmp_path)
    installed = install(held=specs, SCRIPTS_ROOT=str(scripts))
    route = scripts / "routes/batch_status.lua"
    route.write_text(route.read_text() + "\n-- changed\n")
    answers = []
    reloading = threading.Thread(target=lambda: answers.append(command(installed.program, "reload")))
    reloading.start()
    specs.wait_begun()
    assert installed.upgrade()[0] == 0
    reloading.join()
    (status, said), = answers
    assert (status, said["done"]) == (1, False)
    assert said["error"] == f"the specs in {specs.path}: the program is stopping"
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
    for thread in pathlib.Path(f"/proc/{pid}/task").glob("*/comm"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            if thread.read_text().startswith("ingest "):
                return True
    return False


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
