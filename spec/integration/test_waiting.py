"""A handler whose outside system is unavailable waits with its topics only, retries by itself, and
loses and rejects nothing. A slow handler delays no other."""
import contextlib
import http.server
import json
import shutil
import threading
import time

import pytest
import redis
import stack
from harness import check_counted, log_lines
from stack import wait_until
from test_outages import batches, filenames, publish, publish_registrations, rejected

SLOTS = "huleedu.els.essay.slot.assigned.v1"
BEGINS = "a handler's topics wait: what it depends on is unavailable"
GOES_ON = "a handler's topics resumed"
# Passed on as the failure, as its message, and as what is returned.
PASSED_ON = {"error": "error(failure)", "message": "error('content: ' .. failure.message)",
             "return": "return nil, failure"}


class Content:
    """An HTTP service that starts and stops, on a reserved port."""

    def __init__(self):
        self.port = stack.free_port()
        self.server = None
        self.delay_s = 0

    def come(self):
        content = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                time.sleep(content.delay_s)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def go(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


@pytest.fixture
def content():
    with contextlib.closing(contextlib.ExitStack()) as ends:
        service = Content()
        ends.callback(service.go)
        yield service


def asking_scripts(service, content, passed_on="error(failure)"):
    """A copy of the scripts whose handler of slots asks the service before it merges."""
    folder = service.folder / "scripts"
    shutil.copytree(stack.ROOT / "scripts", folder)
    handler = folder / "handlers/essay_slot_assigned.lua"
    handler.write_text(handler.read_text().replace(
        "handle = function(event, view)\n",
        "handle = function(event, view)\n"
        "    local answer, failure = require('http').request({\n"
        f"        url = 'http://127.0.0.1:{content.port}/', timeout_ms = 900 }})\n"
        f"    if not answer then {passed_on} end\n"))
    return {"SCRIPTS_ROOT": str(folder)}


def waiting(program):
    """{topic: its entry in `waiting`}"""
    waits = json.loads(program.get("/readyz")[1])["dependencies"]["kafka"]["waiting"]
    return {wait["topic"]: wait for wait in waits}


def names(first, last):
    return [f"essay-{number}" for number in range(first, last)]


def check_all_there(service, essays):
    wait_until("the events", lambda: filenames(service).keys() == set(essays))
    assert filenames(service) == {essay: f"{essay}.txt" for essay in essays}
    assert not rejected(service)


@pytest.mark.parametrize("how", PASSED_ON)
def test_a_topic_waits_for_its_service_while_others_go_on(bare_service, content, how):
    service = bare_service
    program = service.start(**asking_scripts(service, content, PASSED_ON[how]))
    service.wait_ready()
    publish(service, *names(0, 60))
    wait_until("the wait", lambda: SLOTS in waiting(program))
    publish_registrations(service, 0, 60)
    wait_until("the others' events", lambda: batches(service) == 60)

    def tried():
        """What is said of the topic between two tries, after some."""
        said = waiting(program)[SLOTS]
        return said["tries"] > 2 and "next_try" in said and said

    said = wait_until("some tries", tried)
    assert said["cause"] == "outage" and said["handler"] == "handlers/essay_slot_assigned"
    assert said["since"] < said["next_try"]
    assert SLOTS in program.command("status", "--json", check=False).stdout
    assert program.metric("ras_ingest_waiting_topics") == 1
    assert program.metric("ras_breaker_open") == 0
    assert program.get("/readyz/read")[0] == 200 and program.get("/readyz")[0] == 200
    assert program.get("/readyz/consume")[0] == 503
    assert not rejected(service) and not filenames(service)
    content.come()
    check_all_there(service, names(0, 60))
    wait_until("readiness", lambda: program.get("/readyz/consume")[0] == 200)
    assert not waiting(program) and program.metric("ras_ingest_waiting_topics") == 0
    assert len(log_lines(program, BEGINS)) == 1 and len(log_lines(program, GOES_ON)) == 1


def test_a_handler_whose_time_went_into_a_wait_for_its_service_rejects_nothing(bare_service, content):
    content.come()
    content.delay_s = 0.8
    program = bare_service.start(
        SCRIPTS_HANDLER_TIMEOUT_MS="1000",
        **asking_scripts(bare_service, content, "error(failure) end while true do"))
    publish(bare_service, "one")
    wait_until("the wait", lambda: SLOTS in waiting(program))
    assert not rejected(bare_service)


def test_events_before_the_outage_in_its_partition_are_committed_once(bare_service, content):
    service = bare_service
    content.come()
    program = service.start(**asking_scripts(service, content))
    publish(service, *names(0, 20))
    check_all_there(service, names(0, 20))
    content.go()
    publish(service, *names(20, 40))
    wait_until("the wait", lambda: SLOTS in waiting(program))
    assert service.committed_events() == 20
    content.come()
    check_all_there(service, names(0, 40))
    assert service.committed_events() == 40
    check_counted(program, "ras_messages_processed_total", 40)


def test_a_kill_while_a_topic_waits_loses_nothing(bare_service, content):
    service = bare_service
    scripts = asking_scripts(service, content)
    program = service.prepare_quick(**scripts).start()
    publish(service, *names(0, 60))
    wait_until("the wait", lambda: SLOTS in waiting(program))
    program.kill()
    content.come()
    service.prepare_quick(**scripts).start()
    check_all_there(service, names(0, 60))


def test_a_rebalance_while_a_topic_waits_loses_nothing(bare_service, content):
    service = bare_service
    scripts = asking_scripts(service, content)
    first = service.prepare_quick(**scripts).start()
    publish(service, *names(0, 60))
    wait_until("the wait", lambda: SLOTS in waiting(first))
    second = service.prepare_quick(**scripts).start()
    service.wait_ready(second)
    publish_registrations(service, 0, 30)
    wait_until("the others' events", lambda: batches(service) == 30)
    wait_until("the wait", lambda: SLOTS in waiting(first) or SLOTS in waiting(second))
    content.come()
    check_all_there(service, names(0, 60))
    wait_until("readiness", lambda: all(program.get("/readyz/consume")[0] == 200
                                        for program in (first, second)))


def test_new_scripts_end_a_wait_at_once(bare_service, content):
    service = bare_service
    scripts = asking_scripts(service, content)
    program = service.start(**scripts)
    publish(service, *names(0, 60))
    wait_until("the wait", lambda: SLOTS in waiting(program))
    shutil.rmtree(scripts["SCRIPTS_ROOT"])
    shutil.copytree(stack.ROOT / "scripts", scripts["SCRIPTS_ROOT"])
    program.command("reload")
    check_all_there(service, names(0, 60))
    wait_until("a look at it", lambda: not waiting(program))
    assert program.metric("ras_ingest_waiting_topics") == 0


def test_a_breaker_closes_by_itself_when_its_cause_ends(bare_service):
    """The handler raises while a key is missing."""
    service = bare_service
    folder = service.folder / "scripts"
    shutil.copytree(stack.ROOT / "scripts", folder)
    handler = folder / "handlers/essay_slot_assigned.lua"
    handler.write_text(handler.read_text().replace(
        "handle = function(event, view)\n", "handle = function(event, view)\n"
        "    if require('redis').call('EXISTS', 'mended') == 0 then error('not yet') end\n"))
    program = service.start(SCRIPTS_ROOT=str(folder))
    service.wait_ready()
    publish(service, *names(0, 60))
    wait_until("the breaker", lambda: SLOTS in waiting(program))
    wait_until("some tries", lambda: waiting(program)[SLOTS]["tries"] > 2)
    before = len(rejected(service))
    assert before <= 10
    redis.Redis.from_url(service.redis_url).set("mended", "1")
    wait_until("the rest", lambda: len(filenames(service)) + len(rejected(service)) == 60)
    wait_until("readiness", lambda: program.get("/readyz/consume")[0] == 200)
    assert len(rejected(service)) == before and program.metric("ras_breaker_open") == 0


def test_a_slow_handler_does_not_delay_events_of_others(bare_service, content):
    service = bare_service
    content.delay_s = 0.1
    content.come()
    program = service.start(**asking_scripts(service, content))
    service.wait_ready()
    publish(service, *names(0, 400))
    wait_until("the first ones", lambda: len(filenames(service)) > 2)
    publish_registrations(service, 0, 20)
    wait_until("the others' events", lambda: batches(service) == 20)
    assert len(filenames(service)) < 300
    assert not waiting(program)
    content.delay_s = 0
    check_all_there(service, names(0, 400))
