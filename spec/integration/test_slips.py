"""Reloads scripts with mistakes under load, one after the other, in one process. Each ends with a
message; all other events are counted and all other requests succeed."""
import collections
import shutil
import threading

import pytest
from crashtest import log, verify
from harness import edited_config, log_lines, read_records, slot_event
from scripts_copy import view_with
from stack import ROOT, UNREAD_TOPIC, topics, wait_until

CASES = ROOT / "spec/fixtures/cases"
SLOT_HANDLER = "handlers/essay_slot_assigned.lua"
SLOT_TOPIC = "huleedu.els.essay.slot.assigned.v1"
SLOTS = 8  # events that meet each slip of a handler: too few to open its breaker

# A slip that no reload takes: the file, where it is put, and what the refusal says.
REFUSED = [
    ("handler_returns_module.lua", "handlers/slip.lua", "handlers/slip.lua"),
    ("route_strict_table.lua", "routes/slip.lua", "routes/slip.lua"),
    ("cache_key_unknown_placeholder_route.lua", "routes/slip.lua", "routes/slip.lua"),
    ("route_cached_with_query.lua", "routes/slip.lua", "routes/slip.lua"),
    ("post_route_with_cache.lua", "routes/slip.lua", "routes/slip.lua"),
    ("view_table_declared_twice.lua", "view.lua", "view.lua"),
    ("handler_with_side_effects_nlp_feedback.lua", "handlers/slip.lua", "essay_nlp"),
    ("config_strict.lua", "../own.lua", "own.lua"),
]
# A slip that shows when a route runs: the file, the path that is asked, its status.
ASKED = [
    ("route_returns_request.lua", "/panic/x", 500),
    ("route_204_with_body.lua", "/e/x", 500),
    ("route_metric_gets_a_label.lua", "/m/x", 200),
]
# A slip that shows when a handler runs: its file, where it is put, its topic, and whether its events
# are rejected.
HANDLED = [
    ("handler_huge_timestamp.lua", "handlers/slip.lua", "hreview.huge.v1", True),
    ("handler_order_of_pairs.lua", SLOT_HANDLER, SLOT_TOPIC, False),
    ("merge_memory_unbounded.lua", SLOT_HANDLER, SLOT_TOPIC, True),
    ("string_to_number_escapes_time_limit.lua", SLOT_HANDLER, SLOT_TOPIC, True),
]
# Data of other tests.
NO_SCRIPTS = {"README.md", "9002_essay_nlp.sql", "nlp_events.jsonl", "nlp_tables.lua",
              "terminal_escape_in_reject_detail.jsonl"}


class Gateway:
    """Asks for one batch without a pause, on a thread of its own."""

    def __init__(self, program, path):
        self.program, self.path = program, path
        self.statuses = collections.Counter()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.ask, daemon=True)
        self.thread.start()

    def ask(self):
        while not self.ended.is_set():
            self.statuses[self.program.get(self.path)[0]] += 1

    def end(self):
        """{status: number of responses}"""
        self.ended.set()
        self.thread.join()
        return dict(self.statuses)


class Slips:
    """A running program with scripts of its own, under load."""

    def __init__(self, service):
        self.service, self.scripts = service, service.folder / "scripts"
        shutil.copytree(ROOT / "scripts", self.scripts)
        self.config = edited_config(service.folder / "own.lua",
                                    ("handler_timeout_ms = 1000", "handler_timeout_ms = 200"))
        self.good_config = self.config.read_text()
        self.program = service.start(self.config, SCRIPTS_ROOT=str(self.scripts),
                                     SQL_ROOT=str(ROOT / "sql"), SCRIPTS_TRIAL_S="0")

    def put(self, case, place):
        """The output of the reload, without luacheck."""
        text = view_with(case) if place == "view.lua" else (CASES / case).read_text()
        (self.scripts / place).write_text(f"-- luacheck: ignore\n{text}")
        return self.program.ask("reload")

    def mend(self, place):
        """Restores the good scripts with --drop."""
        good = ROOT / "scripts" / place
        if place.endswith("own.lua"):
            self.config.write_text(self.good_config)
        elif good.exists():
            shutil.copy(good, self.scripts / place)
        else:
            (self.scripts / place).unlink()
        return self.program.ask("reload drop=true")

    def publish(self, topic, name):
        self.service.publish([slot_event("slips", f"{name} {n}", "file") | {"topic": topic}
                              for n in range(SLOTS)])

    def rejections(self):
        return self.service.query("SELECT count(*) FROM aggregator_state.rejected_events")[0][0]

    def settle(self):
        """Waits until every present record is counted; more may arrive."""
        reader = log.open_reader(self.service.kafka.brokers)
        ends = log.end_offsets(reader, [t for t in topics() if t != UNREAD_TOPIC], 3)
        reader.close()
        verify.wait_drained(self.service.database_url, ends, 60)
        held = verify.offsets(self.service.database_url)
        passed = {place: held[place][0] for place, end in ends.items() if end > 0}
        assert verify.check_accounting(held, passed) == []


@pytest.fixture
def slips(bare_service):
    return Slips(bare_service)


def test_every_small_mistake_is_tried():
    tried = {case for case, *_ in REFUSED + ASKED + HANDLED}
    assert {path.name for path in CASES.iterdir()} == tried | NO_SCRIPTS


def test_mistakes_under_load_end_with_a_message_and_disturb_nothing_else(slips):
    service, program = slips.service, slips.program
    service.wait_ready()
    service.publish(read_records("current"))
    service.wait_committed(len(read_records("current")))
    batch = service.query("SELECT batch_id FROM batch_results LIMIT 1")[0][0]
    gateway = Gateway(program, f"/internal/v1/batches/{batch}/status")
    feeder = service.feed("current", 60, wait=False)
    for case, place, said in REFUSED:
        answer = slips.put(case, place)
        assert answer["done"] is False and said in answer["error"], (case, answer)
        slips.mend(place)
    for case, path, status in ASKED:
        answer = slips.put(case, "routes/slip.lua")
        assert answer["done"] is True, (case, answer)
        assert program.get(path)[0] == status, case
        assert slips.mend("routes/slip.lua")["done"] is True
    for case, place, topic, rejected in HANDLED:
        slips.settle()
        before = slips.rejections()
        assert slips.put(case, place)["done"] is True, case
        slips.publish(topic, case)
        if rejected:
            wait_until(f"a rejection by {case}", lambda: slips.rejections() > before)
        assert slips.mend(place)["done"] is True
        slips.settle()
        assert (slips.rejections() > before) == rejected, case
    assert feeder.wait() == 0
    slips.settle()
    assert set(gateway.end()) == {200}
    assert program.running() and not log_lines(program, "PANIC")
