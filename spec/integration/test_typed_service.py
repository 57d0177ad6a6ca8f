"""A service with every type and rule (spec/fixtures/typed), run as a whole: what events bring is in
the view, `verify`, `rebuild` and `explain` know each type, and requests have them, too."""
import json
import subprocess

import pytest
import stack
from harness import edited_config
from stack import ROOT, wait_until

TOPIC = "readings.v1"
DEVICE = "0123abcd-4567-89ef-0123-456789abcdef"
OWNERS = ["fa23abcd-4567-89ef-0123-456789abcdef", "0a23abcd-4567-89ef-0123-456789abcdef"]
HUGE = 9007199254740993


def record(number, **data):
    return {"topic": TOPIC, "key": DEVICE, "value": {
        "event_id": f"00000000-0000-4000-8000-{number:012x}", "event_type": TOPIC,
        "source_service": "test", "event_timestamp": f"2026-02-01T08:00:{number:02}Z",
        "data": {"device_id": DEVICE, "day": "2026-02-01", "counter": HUGE, "tags": []} | data}}


RECORDS = [record(1, tags=["b"], owner_id=OWNERS[0], source="s1"),
           record(2, tags=["a", "b"], owner_id=OWNERS[1].upper(), counter=str(HUGE + 1), source="s2"),
           record(3, day="2026-02-30"), record(4, counter="7 "),
           record(5, tags=["c"], due_on="2026-03-01", source="s1"), record(6, source="s1")]
ROW = (["a", "b", "c"], [OWNERS[1], OWNERS[0]], [HUGE, HUGE + 1], ["2026-03-01"], 2)
ROW_SQL = """SELECT tags, all_owner_ids::text[], all_counters, all_due_days::text[], source_count
  FROM readings"""


@pytest.fixture
def service(make_service, build, tmp_path, cleanup):
    kafka = stack.EmbeddedKafka(tmp_path, build, [TOPIC])
    cleanup.callback(kafka.stop)
    service = make_service(cleanup, kafka.start(), migrate=False)
    root = ROOT / "spec/fixtures/typed"
    config = edited_config(tmp_path / "config.lua",
                           ('["api-gateway-service"] = "internal",', ""),
                           ('["bff-teacher-service"] = "internal",', ""))
    program = service.prepare(config, SCRIPTS_ROOT=str(root / "scripts"), SQL_ROOT=str(root / "sql"))
    program.command("migrate")
    program.start()
    service.wait_ready()
    service.publish(RECORDS)
    service.wait_committed(len(RECORDS))
    return service


def run(service, *words, status=0):
    done = service.program.command(*words, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def explain(service, *words):
    return json.loads(run(service, "explain", *words, "--since", "beginning", "--json"))


def post(service, query, body):
    done = subprocess.run(["curl", "-s", "-H", "Content-Type: application/json", "-d", body,
                           f"http://127.0.0.1:{service.program.port}/readings?{query}"],
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_every_type_and_rule_from_the_event_to_the_request(service):
    assert service.query(ROW_SQL) == [ROW]
    assert service.query("SELECT reason, detail FROM aggregator_state.rejected_events ORDER BY \"offset\"") == [
        ("wrong_type", 'data.day is "2026-02-30", not a date of the years 1 to 9999, such as 2025-06-28'),
        ("wrong_type", 'data.counter is "7 ", not a whole number of 64 bits')]
    check_reaction(service)
    check_requests(service)
    check_explain(service)
    check_verify(service)


def check_reaction(service):
    """It follows a key of UUIDs, and gets 64 bits and dates in its row; a key of 64 bits is a text
    with all its digits."""
    def published(topic):
        return service.query("SELECT key, convert_from(value, 'UTF8')::json FROM aggregator_state.outbox "
                             "WHERE topic = %s ORDER BY id DESC LIMIT 1", topic)

    wait_until("a message about the counter", lambda: published("totals.changed.v1"))
    key, value = published("totals.changed.v1")[0]
    assert key in (str(HUGE), str(HUGE + 1)) and value["counter"] == key
    wait_until("a message about the device", lambda: published("readings.counted.v1"))
    key, value = published("readings.counted.v1")[0]
    assert (key, value) == (DEVICE, {"device_id": DEVICE, "counter": value["counter"], "days": ["2026-02-01"]})
    assert str(value["counter"]) in (str(HUGE), str(HUGE + 1))


def check_requests(service):
    body = json.dumps({"counter": str(2**63 - 1), "id": DEVICE.upper()})
    said = post(service, f"day=2026-02-01&least={HUGE}", body)
    assert said == {"tags": ROW[0], "given": 2**63 - 1, "least": HUGE, "counters": ROW[2], "sources": 2}
    assert post(service, "day=2026-2-1", body) == {
        "error": 'Invalid query: day is "2026-2-1", not a date of the years 1 to 9999, such as 2025-06-28: it '
                 'takes a date of the years 1 to 9999, such as 2025-06-28'}
    assert post(service, "day=2026-02-01", '{"counter":1.5,"id":"x"}')["error"].startswith(
        "Invalid body: counter is 1.5, not a whole number")
    described = json.loads(run(service, "openapi"))["paths"]["/readings"]["post"]
    assert [(one["name"], one["schema"]["type"], one["schema"]["format"])
            for one in described["parameters"] if one["in"] == "query"] == [
        ("day", "string", "date"), ("least", "integer", "int64")]
    fields = described["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert fields["counter"]["type"] == ["integer", "string"]
    assert (fields["id"]["format"], fields["counter"]["format"]) == ("uuid", "int64")


def check_explain(service):
    for words in (("device", DEVICE.upper()), (DEVICE,)):
        row = next(row for row in explain(service, *words)["rows"] if row["table"] == "readings")
        assert row["key"] == {"device_id": DEVICE, "day": "2026-02-01"} and row["in_view"]
        groups = {group["name"]: group for group in row["groups"]}
        # a merge of nil or of an empty list is not among them
        for name, outcomes in {"tags": ["wrote"] * 3, "sources": ["wrote"] * 4, "counted": ["wrote"] * 4,
                               "owners": ["wrote"] * 2, "dues": ["wrote"], "first_due": ["wrote"],
                               "last_owner": ["wrote", "lost"],
                               "reading": ["wrote", "lost", "lost", "lost"]}.items():
            assert [event["outcome"] for event in groups[name]["events"]] == outcomes, name
    rows = explain(service, str(HUGE + 1))["rows"]
    assert sorted(row["table"] for row in rows) == ["readings", "totals"]
    assert [row["key"] for row in rows if row["table"] == "totals"] == [{"counter": str(HUGE + 1)}]
    assert explain(service, "2026-02-01")["rows"] == []  # no id
    assert [(row["table"], row["key"]) for row in explain(service, "text", "s2")["rows"]] == [
        ("sources", {"text": "s2"})]
    # An event names rows whose groups do not say who wrote them.
    totals = [row for row in explain(service, RECORDS[1]["value"]["event_id"])["rows"]
              if row["table"] == "totals"]
    assert [(row["key"], row["in_view"]) for row in totals] == [({"counter": str(HUGE + 1)}, True)]
    assert {event["outcome"] for group in totals[0]["groups"] for event in group["events"]} == {"wrote"}


def check_verify(service):
    assert "equal" in run(service, "verify")
    service.query("UPDATE readings SET tags = '{a,x}', all_counters = '{1}', sources_sources = NULL")
    service.query("UPDATE sources SET l = '{}', d = NULL WHERE text = 's2'")
    said = run(service, "verify", status=1)
    for column in ("tags", "all_counters", "sources_sources"):
        assert column in said
    assert f'l: []  from the log: ["2026-02-01"]\n      d: -  from the log: {DEVICE}\n' in said
    run(service, "rebuild", "--yes")
    assert service.query(ROW_SQL) == [ROW]
    assert "equal" in run(service, "verify")
