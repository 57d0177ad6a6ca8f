"""Scripts are replaced between events and requests: none is lost, fails or is handled twice."""
import json
import threading

import psycopg2
import pytest
from harness import log_lines, slot_event, waits_for_lock
from scripts_copy import HANDLER, assign, filename_of, reload
from stack import wait_until


@pytest.fixture
def service(bare_service, own_scripts):
    bare_service.start(**own_scripts.env)
    bare_service.wait_ready()
    return bare_service


class Held:
    """A program one of whose transactions hangs: a lock of ours holds up its row, and what comes
    after it is handled meanwhile. Releases it in the end."""

    def __init__(self, service, program, before, after):
        self.service, self.program = service, program
        assign(service, "locked")
        self.lock = psycopg2.connect(service.database_url)
        self.lock.cursor().execute(
            "SELECT FROM essay_results WHERE essay_id = 'locked' FOR UPDATE")
        service.publish([slot_event("a-batch", "locked", "second", second=9)] + before)
        wait_until("the transaction that hangs", lambda: waits_for_lock(service, "aggregator ingest"))
        taken = program.metric("ras_script_duration_seconds_count")
        service.publish(after)
        wait_until("what is handled behind it", lambda: program.metric(
            "ras_script_duration_seconds_count") == taken + len(after))

    def release(self):
        self.lock.close()


def test_a_worker_switches_scripts_while_a_transaction_hangs(service, own_scripts):
    held = Held(service, service.program, [], [slot_event("a-batch", "behind", "file")])
    own_scripts.name_files("new ")
    reload(service.program)
    service.publish([slot_event("a-batch", "after", "file")])
    assert filename_of(service, "behind") is None
    held.release()
    service.wait_committed(4)
    assert filename_of(service, "locked") == "second"
    assert filename_of(service, "behind") == "file"
    assert filename_of(service, "after") == "new file"
    assert service.query("SELECT sum(applied), sum(next_offset) FROM aggregator_state.consumer_offsets "
                         "WHERE next_offset > 0")[0] == (4, 4)


def test_new_scripts_are_not_blamed_for_what_the_old_ones_rejected(bare_service, own_scripts):
    own_scripts.edit(f"scripts/{HANDLER}", "handle = function(event, view)\n",
                     "handle = function(event, view)\n"
                     "    if event.filename == 'bad' then error('on purpose') end\n")
    program = bare_service.start(INGEST_BREAKER_SHARE_PERCENT="100", SCRIPTS_TRIAL_S="2",
                                 **own_scripts.env)
    bare_service.wait_ready()
    bare_service.publish([slot_event("a-batch", f"good {n}", "file") for n in range(500)])
    bare_service.wait_committed(500)
    held = Held(bare_service, program, [],
                [slot_event("a-batch", f"bad {n}", "bad") for n in range(60)])
    own_scripts.name_files("new ")
    reload(program)
    held.release()
    bare_service.wait_committed(562)
    wait_until("the end of the bake", lambda: log_lines(
        program, "the new scripts passed their bake"))
    assert program.metric("ras_rejected_messages_total") == 60
    assert program.metric("ras_script_generation") == 2


def test_events_refused_by_the_database_are_handled_by_the_new_scripts(service, own_scripts):
    with psycopg2.connect(service.database_url) as connection:
        connection.cursor().execute(
            "ALTER TABLE essay_results ADD CHECK (filename <> 'refused')")
    held = Held(service, service.program, [], [slot_event("a-batch", "behind", "refused")])
    own_scripts.name_files("new ")
    reload(service.program)
    held.release()
    service.wait_committed(3)
    assert filename_of(service, "behind") == "new refused"
    assert service.query("SELECT count(*) FROM aggregator_state.rejected_events")[0][0] == 0


class Flow:
    """A thousand events more each time, published while something else is done."""

    def __init__(self, service):
        self.service, self.count = service, 0
        self.path = service.folder / "flow.jsonl"

    def begin(self):
        numbers = range(self.count, self.count + 1000)
        self.path.write_text("".join(
            json.dumps(slot_event(f"batch{n % 50}", f"essay {n}", "file")) + "\n" for n in numbers))
        self.count += 1000
        self.feeder = self.service.feed(self.path, rate=2000, wait=False)

    def end(self):
        assert self.feeder.wait() == 0


def test_reloads_under_load_lose_no_event_and_fail_no_request(bare_service, own_scripts):
    """Two alternating generations that differ in every row."""
    program = bare_service.start(INGEST_WORKERS="2", **own_scripts.env)
    bare_service.wait_ready()
    flow, answers, ended = Flow(bare_service), [], threading.Event()

    def ask():
        while not ended.is_set():
            answers.append(program.get("/internal/v1/batches/batch1/status")[0])

    readers = [threading.Thread(target=ask) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(2, 12):
        flow.begin()
        bare_service.wait_committed(flow.count - 900)
        own_scripts.name_files(("odd ", "even ")[number % 2])
        assert reload(program)["generation"] == number
        flow.end()
    bare_service.wait_committed(flow.count)
    ended.set()
    for reader in readers:
        reader.join()
    assert answers and set(answers) <= {200, 404}
    names = dict(bare_service.query("SELECT filename, count(*) FROM essay_results GROUP BY 1"))
    assert sum(names.values()) == flow.count
    assert names.keys() == {"file", "odd file", "even file"}
    assert bare_service.query(
        "SELECT sum(applied), sum(rejected + ignored + duplicate + superseded) "
        "FROM aggregator_state.consumer_offsets")[0] == (flow.count, 0)
