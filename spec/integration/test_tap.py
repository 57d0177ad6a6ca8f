"""aggregator tap: live events as their handlers get them, from an embedded Kafka."""
import contextlib
import json
import re
import shutil
import signal
import subprocess
import threading
import uuid

import pytest
import stack
from harness import ROOTS, slot_event
from stack import ROOT, tethered, wait_until

SLOT = "huleedu.els.essay.slot.assigned.v1"
SPELLCHECK = "huleedu.essay.spellcheck.results.v1"
FOLLOWS = "reading from now on; Ctrl-C ends"


class Tap:
    """A running `aggregator tap`; what it has printed so far."""

    def __init__(self, build, env, arguments):
        self.lines, self.said = [], []
        self.process = subprocess.Popen(
            tethered([build / "aggregator", "tap", *arguments]), cwd=ROOT, env=env,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.readers = [threading.Thread(target=self.read, args=pair, daemon=True) for pair in
                        ((self.process.stdout, self.lines), (self.process.stderr, self.said))]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def wait_said(self, text):
        wait_until(text, lambda: any(text in line for line in self.said) or self.ended())
        assert any(text in line for line in self.said), self.said
        return self

    def wait_lines(self, count):
        wait_until(f"{count} lines", lambda: len(self.lines) >= count or self.ended())
        return [json.loads(line) for line in self.lines]

    def ended(self):
        return self.process.poll() is not None

    def finish(self):
        """The exit status, once it has ended; all its output is read."""
        status = self.process.wait(timeout=60)
        for reader in self.readers:
            reader.join()
        return status

    def kill(self):
        self.process.kill()
        self.finish()


@pytest.fixture(name="kafka")
def embedded_kafka(build, tmp_path, cleanup):
    kafka = stack.EmbeddedKafka(tmp_path, build)
    cleanup.callback(kafka.stop)
    return kafka.start()


@pytest.fixture(name="tap")
def start_tap(build, tmp_path, kafka, cleanup):
    """tap(…): `aggregator tap …` where only Kafka is."""

    def start(*arguments, **env):
        away = stack.Aggregator(tmp_path, build, "postgresql://ras@127.0.0.1:1/ras", "none",
                                kafka.brokers, ROOTS | env)
        running = Tap(build, away.env, list(map(str, arguments)))
        cleanup.callback(running.kill)
        return running

    return start


@pytest.fixture(name="publish")
def publisher(build, tmp_path, kafka):
    def publish(*lines):
        path = tmp_path / f"{uuid.uuid4()}.jsonl"
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        stack.feed(build, kafka.brokers, path)

    return publish


def test_an_event_is_shown_on_arrival_as_its_handler_gets_it(tap, publish):
    before, event = slot_event("b-1", "e-0", "early"), slot_event("b-1", "e-1", "Ö \"1\".docx", 7)
    publish(before)
    running = tap("--json").wait_said(FOLLOWS)
    publish(event)
    shown = running.wait_lines(1)[0]
    assert not running.ended()
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", shown.pop("stored_at"))
    assert shown.pop("partition") in (0, 1, 2) and shown.pop("offset") in (0, 1)
    assert shown.pop("merges")[0] == {
        "table": "essay_results", "key": {"essay_id": "e-1"}, "group": "slot", "rule": "latest",
        "columns": {"filename": "Ö \"1\".docx", "file_upload_id": "upload",
                    "original_text_storage_id": "text"}}
    assert shown["fields"]["filename"] == "Ö \"1\".docx"
    assert shown["fields"]["event_type"] == SLOT
    del shown["fields"]
    value = event["value"]
    assert shown == {"topic": SLOT, "handler": "handlers/essay_slot_assigned",
                     "outcome": "applied", "reason": None, "detail": None, "rests_on": None, "expired_before": None,
                     "published": [], "event_id": value["event_id"], "time": "2025-06-28T09:00:07.000000Z",
                     "correlation_id": value["correlation_id"], "touches": ["b-1", "e-1"]}


def test_an_event_that_would_be_rejected_has_its_reason(tap, publish):
    broken = slot_event("b-1", "e-1", "f")
    del broken["value"]["data"]["essay_id"]
    running = tap("--topic", SLOT).wait_said(FOLLOWS)
    publish(broken, {"topic": SLOT, "raw_b64": None}, {"topic": SLOT, "raw_b64": "eA=="})
    wait_until("three events", lambda: running.lines.count("") == 3)
    text = "\n".join(running.lines)
    assert re.search(rf"^{SLOT}/\d/\d+  stored \S+Z  rejected  handlers/essay_slot_assigned$", text,
                     re.M)
    assert "  missing_field: data.essay_id is missing" in running.lines
    assert f'  event        "{broken["value"]["event_id"]}"' in running.lines
    assert "  null_value: the record has no value" in running.lines
    assert "  not_json: " in text


def test_it_ends_at_the_limit_and_flushes_each_event(tap, publish):
    running = tap("--json", "--limit", 3, "--topic", SLOT).wait_said(FOLLOWS)
    for number in range(1, 4):
        publish(slot_event("b-1", f"e-{number}", "f", number))
        assert running.wait_lines(number)[-1]["fields"]["essay_id"] == f"e-{number}"
    assert running.finish() == 0
    assert len(running.lines) == 3 and running.said[-1] == "3 events shown of 3 read"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(tap, publish, number):
    running = tap("--json").wait_said(FOLLOWS)
    publish(slot_event("b-1", "e-1", "f"))
    running.wait_lines(1)
    running.process.send_signal(number)
    assert running.finish() == 0
    assert running.said[-1] == "1 event shown of 1 read"


def test_events_are_chosen_by_an_id_or_text_that_their_bytes_hold(tap, publish):
    events = [slot_event(batch, f"e-{batch}", name, n) for n, (batch, name) in enumerate(
        (("b-one", "x"), ("b-two", "x"), ("b-two", "Läxa \"7\"")))]
    publish(*events)
    begin = ("--json", "--from-beginning", "--topic", SLOT)

    def chosen(*options, limit):
        running = tap(*begin, *options, "--limit", limit)
        assert running.finish() == 0, running.said
        return sorted(json.loads(line)["event_id"] for line in running.lines)

    def ids(*numbers):
        return sorted(events[n]["value"]["event_id"] for n in numbers)

    assert chosen(limit=3) == ids(0, 1, 2)
    assert chosen("--batch", "b-two", limit=2) == ids(1, 2)
    assert chosen("--id", events[0]["value"]["event_id"], limit=1) == ids(0)
    assert chosen("--contains", "Läxa \\\"7", limit=1) == ids(2)
    assert chosen("--contains", '"x"', "--id", "b-two", limit=1) == ids(1)


def test_only_the_named_topics_are_followed(tap, publish):
    running = tap("--json", "--topic", SLOT, "--topic", SPELLCHECK).wait_said(FOLLOWS)
    named = [line.split(":")[0] for line in running.said[:-1]]
    assert sorted(named) == [SLOT, SPELLCHECK]
    publish({"topic": "huleedu.batch.essays.registered.v1", "value": {}},
            {"topic": SPELLCHECK, "value": {}}, slot_event("b-1", "e-1", "f"))
    assert {one["topic"] for one in running.wait_lines(2)} == {SLOT, SPELLCHECK}
    everything = tap().wait_said(FOLLOWS)
    assert sorted(line.split(":")[0] for line in everything.said[:-1]) == \
        sorted(set(stack.topics()) - {stack.UNREAD_TOPIC})


def test_a_topic_that_no_handler_declares_is_shown_as_it_is(tap, publish):
    running = tap("--json", "--topic", stack.UNREAD_TOPIC).wait_said(FOLLOWS)
    assert f"{stack.UNREAD_TOPIC}: 3 partitions, no handler declares it" in running.said
    publish({"topic": stack.UNREAD_TOPIC, "key": "k", "value": {"a": 1}})
    shown = running.wait_lines(1)[0]
    assert (shown["outcome"], shown["key"]) == ("undeclared", "k")
    assert json.loads(shown["text"]) == {"a": 1}
    text = tap("--topic", stack.UNREAD_TOPIC).wait_said(FOLLOWS)
    publish({"topic": stack.UNREAD_TOPIC, "key": "k", "value": [1, "ö"]},
            {"topic": stack.UNREAD_TOPIC, "key": None, "raw_b64": None})
    wait_until("two records", lambda: text.lines.count("") == 2)
    assert "undeclared" in text.lines[0]
    assert {"  key    k", '  value  [1, "ö"]', "  key    none", "  value  none"} <= set(text.lines)


def test_recorded_records_are_the_bytes_that_kafka_has_and_can_be_tried(tap, publish, build, tmp_path):
    published = [slot_event("b-1", "e-1", "f"), {"topic": SLOT, "key": "k", "raw_b64": "eyJhIjoK"},
                 {"topic": SLOT, "key": None, "raw_b64": None},
                 {"topic": stack.UNREAD_TOPIC, "key": "ö", "value": [1, "ö"]}]
    publish(*published)
    file = tmp_path / "recorded.jsonl"
    for topic, count in ((SLOT, 3), (stack.UNREAD_TOPIC, 1)):  # the second one adds to the first
        running = tap("--from-beginning", "--topic", topic, "--limit", count, "--record", file)
        assert running.finish() == 0, running.said
    recorded = [json.loads(line) for line in file.read_text().splitlines()]
    for record in recorded:
        assert {record.pop("partition") in (0, 1, 2), record.pop("offset") >= 0} == {True}
    assert sorted(map(str, recorded)) == sorted(str({"topic": one["topic"], "key": one.get("key"),
        **{name: one[name] for name in ("value", "raw_b64") if name in one}}) for one in published)
    tried = subprocess.run([build / "aggregator", "try", file, "--json"], cwd=ROOT, check=False,
                           capture_output=True, text=True)
    outcomes = [json.loads(line).get("outcome") for line in tried.stdout.splitlines()]
    assert outcomes.count("applied") == 1 and outcomes.count("rejected") == 2, tried


def test_handlers_reach_no_outside_system(tap, publish, tmp_path):
    scripts = tmp_path / "scripts"
    (scripts / "handlers").mkdir(parents=True)
    (scripts / "view.lua").write_text((ROOT / "scripts/view.lua").read_text())
    (scripts / "envelope.lua").write_text((ROOT / "scripts/envelope.lua").read_text())
    (scripts / "handlers/t.lua").write_text(
        f'return {{ topics = {{ "{SLOT}" }}, fields = {{}}, handle = function()\n'
        'local _, failure = require("pg").query("batch_status", { batch_id = "b" })\n'
        'error(failure.kind .. ": " .. failure.message) end }')
    running = tap("--json", SCRIPTS_ROOT=str(scripts)).wait_said(FOLLOWS)
    publish(slot_event("b-1", "e-1", "f"))
    shown = running.wait_lines(1)[0]
    assert shown["reason"] == "handler_error"
    assert "unavailable: unavailable: tap touches no outside system" in shown["detail"]


def test_no_offset_is_moved_and_a_running_service_keeps_its_partitions(service, build, cleanup):
    running = Tap(build, service.program.env, ["--json", "--from-beginning"])
    cleanup.callback(running.kill)
    running.wait_said("reading from the beginning")
    service.publish([slot_event("b-1", f"e-{number}", "f", number) for number in range(20)])
    service.wait_committed(20)
    assert len(running.wait_lines(20)) == 20
    assert service.query("SELECT count(*) FROM essay_results")[0][0] == 20
    running.process.send_signal(signal.SIGINT)
    assert running.finish() == 0
    service.publish([slot_event("b-1", "e-20", "f", 20)])
    service.wait_committed(21)
    assert service.query("SELECT sum(applied) FROM aggregator_state.consumer_offsets")[0][0] == 21


@pytest.mark.parametrize("arguments, reason", [
    (("--topic", SLOT + "x"), f'kafka has no topic {SLOT}x: did you mean "{SLOT}"?'),
    (("--topic", "pupils"), 'kafka has no topic pupils. Handlers declare:'),
    (("--record", "/no/such/folder/file"), "/no/such/folder/file cannot be written: No such file"),
    (("--limit", "0"), '--limit is "0"'), (("--limit", "many"), '--limit is "many"'),
    (("word",), 'tap takes no "word"'),
    (("--topic", SLOT) * 65, "--topic is given more than 64 times")])
def test_a_wrong_argument_gets_an_error_with_the_valid_form(tap, arguments, reason):
    running = tap(*arguments)
    assert running.finish() == 2
    assert any(reason in line for line in running.said), running.said


def test_topics_that_kafka_lacks_are_named(build, tmp_path, cleanup):
    kafka = stack.EmbeddedKafka(tmp_path, build, names=[SPELLCHECK])
    cleanup.callback(kafka.stop)
    env = stack.Aggregator(tmp_path, build, "postgresql://127.0.0.1:1/none", "none", kafka.start().brokers, ROOTS).env
    with contextlib.ExitStack() as programs:
        running = Tap(build, env, [])
        programs.callback(running.kill)
        running.wait_said(FOLLOWS)
        assert f"{SLOT}: not in kafka" in running.said
        file = tmp_path / "record.jsonl"
        lacking = Tap(build, env, ["--topic", SLOT + ".v9", "--record", file])
        assert lacking.finish() == 2
        assert any(f"kafka has no topic {SLOT}.v9: did you mean" in line for line in lacking.said)
        assert not file.exists()


def test_a_topic_that_a_script_names_is_waited_for_and_shown_from_its_first_record(
        kafka, build, tmp_path, cleanup):
    scripts = tmp_path / "scripts"
    shutil.copytree(stack.ROOT / "scripts", scripts)
    topic = f"new.{uuid.uuid4()}.v1"
    (scripts / "lib/news.lua").write_text(f"return {{ topic = '{topic}' }}\n")
    env = stack.Aggregator(tmp_path, build, "postgresql://127.0.0.1:1/none", "none", kafka.brokers,
                           {"SCRIPTS_ROOT": str(scripts)}).env
    running = Tap(build, env, ["--topic", topic, "--limit", "1"])
    cleanup.callback(running.kill)
    running.wait_said(f"{topic}: not in kafka yet, {scripts}/lib/news.lua names it: waiting for it; "
                      "Ctrl-C ends")
    path = tmp_path / "news.jsonl"
    path.write_text(json.dumps({"topic": topic, "key": "k", "value": {"first": True}}) + "\n")
    stack.feed(build, kafka.brokers, path)
    assert running.finish() == 0
    assert '  value  {"first": true}' in running.lines


def test_a_signal_ends_the_wait_for_a_topic(kafka, build, tmp_path, cleanup):
    scripts = tmp_path / "scripts"
    shutil.copytree(stack.ROOT / "scripts", scripts)
    (scripts / "lib/news.lua").write_text("return { topic = 'never.v1' }\n")
    env = stack.Aggregator(tmp_path, build, "postgresql://127.0.0.1:1/none", "none", kafka.brokers,
                           {"SCRIPTS_ROOT": str(scripts)}).env
    running = Tap(build, env, ["--topic", "never.v1"])
    cleanup.callback(running.kill)
    running.wait_said(f"never.v1: not in kafka yet, {scripts}/lib/news.lua names it: waiting for it; "
                      "Ctrl-C ends")
    running.process.send_signal(signal.SIGINT)
    assert running.finish() == 0
    assert "0 events shown of 0 read" in running.said


def test_an_unreachable_kafka_is_a_failure(build, tmp_path, cleanup):
    env = stack.Aggregator(tmp_path, build, "postgresql://127.0.0.1:1/none", "none", "127.0.0.1:1", ROOTS).env
    running = Tap(build, env, [])
    cleanup.callback(running.kill)
    assert running.finish() == 1
    assert "cannot list the topics of Kafka" in running.said[-2]
    assert "its address is the setting kafka.brokers (config.lua:" in running.said[-1]
