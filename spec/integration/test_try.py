"""aggregator try: runs the handlers on disk on the events of a file, without a server."""
import base64
import contextlib
import json
import os
import re
import socket
import subprocess
import threading

import pytest
from harness import STREAMS, read_records, records, slot_event
from stack import ROOT, SAMPLES, UNREAD_TOPIC

VIEW = """return { { name = "things", key = { { "thing_id", "text" } }, groups = {
  { name = "said", rule = "latest", columns = {
    { "word", "text" }, { "count", "integer" }, { "share", "double" }, { "seen", "timestamp" },
    { "good", "boolean" }, { "words", "text[]" }, { "shares", "double[]" }, { "raw", "json" } } },
  { name = "least", rule = "min", columns = { { "first_at", "timestamp" } } },
} } }"""
ENVELOPE = (ROOT / "scripts/envelope.lua").read_text()
EVENT_ID = "0123abcd-4567-89ef-0123-456789abcdef"


@pytest.fixture
def run(build, tmp_path):
    """run(…): `aggregator try …` where no server is; the completed process."""
    away = {"RESULT_AGGREGATOR_SERVICE_DATABASE_URL": "postgresql://ras@127.0.0.1:1/ras",
            "REDIS_URL": "redis://127.0.0.1:1", "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}

    def start(*arguments, text=None, **env):
        return subprocess.run([build / "aggregator", "try", *map(str, arguments)], cwd=ROOT,
                              env=os.environ | away | env, input=text, capture_output=True,
                              text=True, check=False, timeout=60)

    return start


@pytest.fixture
def author(tmp_path, run):
    """author(fields, body, …): runs events through a handler of a service with one table; the
    process, and with --json its objects."""

    def start(body, *events, fields="", options=("--json",), envelope=ENVELOPE, **env):
        folder = tmp_path / "scripts"
        (folder / "handlers").mkdir(parents=True, exist_ok=True)
        (folder / "view.lua").write_text(VIEW)
        (folder / "envelope.lua").write_text(envelope)
        (folder / "handlers/thing.lua").write_text(
            'return { topics = { "things.v1" }, fields = { id = "data.id", ' + fields +
            " },\nhandle = function(event, view)\n" + body + "\nend }\n")
        file = tmp_path / "events.jsonl"
        file.write_text("".join(json.dumps(event) + "\n" for event in events))
        done = run("thing", file, *options, SCRIPTS_ROOT=str(folder), **env)
        said = [json.loads(line) for line in done.stdout.splitlines()] if "--json" in options else []
        return done, said

    return start


def event(number=0, second=0, **data):
    return {"event_id": EVENT_ID[:-1] + f"{number:x}", "event_type": "things.v1",
            "source_service": "test", "event_timestamp": f"2025-06-28T08:00:{second:02}.000001Z",
            "data": {"id": "t-1"} | data}


def objects(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


# ---- what comes out ------------------------------------------------------------------------------

@pytest.mark.parametrize("stream", STREAMS)
def test_each_record_of_a_sample_stream_goes_to_the_handler_of_its_topic(run, stream):
    done = run(SAMPLES / f"{stream}.jsonl", "--json")
    *events, end = objects(done)
    assert [one["line"] for one in events] == list(range(1, len(records(stream)) + 1))
    assert [one["topic"] for one in events] == [record["topic"] for record in records(stream)]
    unread = [one["topic"] for one in events if one["outcome"] == "unread"]
    assert set(unread) <= {UNREAD_TOPIC}
    assert end["unread"] == len(unread)
    assert end["applied"] + end["ignored"] + end["rejected"] == len(read_records(stream))
    assert done.returncode == (1 if end["rejected"] else 0), done.stderr
    assert (stream == "current-hard") == bool(end["rejected"])


def test_values_are_exact(author):
    numbers = {"big": 9007199254740991, "huge": 9007199254740993, "small": 0.1, "flag": False,
               "at": "2025-06-28T10:00:00.123456+02:00", "words": ["a\"b\\", "", "ö,}"],
               "rows": [{"n": 1, "note": None}, {"n": 2, "note": "x"}], "raw": {"a": [1.50, "\n"]}}
    done, said = author(
        "view.things:merge(event.id, 'said', { word = 'a\\n\"', count = -2147483648, "
        "share = event.small, seen = event.at, good = event.flag, words = event.words, "
        "shares = { 0.1, 3, 1e300 }, raw = event.raw })", event(**numbers),
        fields="""big = { "data.big", type = "integer" }, huge = { "data.huge", type = "bigint" },
        small = { "data.small", type = "number" }, flag = { "data.flag", type = "boolean" },
        at = { "data.at", type = "timestamp" }, words = { "data.words", type = "strings" },
        none = { "data.none", optional = true }, hidden = { "data.id", check_only = true },
        rows = { "data.rows", type = "list", fields = { n = { "n", type = "integer" },
          note = { "note", optional = true } } },
        raw = { "data.raw", type = "json" }, has = { "data.raw", type = "object" }""")
    assert done.returncode == 0, done.stderr
    one, end = said
    raw = json.dumps(numbers["raw"], separators=(",", ":"))
    assert one["fields"] == {
        "event_type": "things.v1", "id": "t-1", "big": 9007199254740991, "huge": 9007199254740993, "small": 0.1,
        "flag": False, "at": "2025-06-28T08:00:00.123456Z", "words": numbers["words"],
        "none": None, "rows": numbers["rows"], "raw": raw, "has": True}
    columns = {"word": "a\n\"", "count": -2147483648, "share": 0.1,
               "seen": "2025-06-28T08:00:00.123456Z", "good": False, "words": numbers["words"],
               "shares": [0.1, 3, 1e300], "raw": raw}
    assert one["merges"] == [{"table": "things", "key": {"thing_id": "t-1"}, "group": "said",
                              "rule": "latest", "columns": columns}]
    assert (one["event_id"], one["time"]) == (EVENT_ID[:-1] + "0", "2025-06-28T08:00:00.000001Z")
    assert (one["fields"]["event_type"], one["correlation_id"]) == ("things.v1", None)
    assert end["rows"] == [{"table": "things", "key": {"thing_id": "t-1"}, "groups": {"said": {
        "rule": "latest", "at": one["time"], "event_id": one["event_id"], "columns": columns}}}]


def test_the_text_output_has_the_same_values_and_says_what_reaches_lua_as_text(author):
    done, _ = author("view.things:merge(event.id, 'said', { words = { event.id }, raw = event.raw })",
                     event(huge=9007199254740993, raw={"a": 1}), options=(), fields="""
                     huge = { "data.huge", type = "bigint" }, raw = { "data.raw", type = "json" },
                     none = { "data.none", optional = true }""")
    for text in (r'events.jsonl:1  applied  handlers/thing', rf'  event        "{EVENT_ID[:-1]}0"',
                 r'    id = "t-1"', r'    none = null', r'    raw = {"a":1}',
                 r'    huge = 9007199254740993  \(a script gets its digits as a string\)',
                 r'    things  thing_id = "t-1"', r'      said \(latest\)',
                 r'        words = \["t-1"\]', r'        raw = {"a":1}', r'        count = null',
                 rf'      said \(latest\)  by 2025-06-28T08:00:00.000001Z  {EVENT_ID[:-1]}0',
                 r'-- things: 1 row', r'INSERT INTO "things" .*;',
                 r'1 applied, 0 ignored, 0 rejected, 0 unread'):
        assert re.search(rf"^(.*/)?{text}$", done.stdout, re.M), (text, done.stdout)


def test_published_messages_are_shown(author):
    body = """view:publish({ topic = "news.v1", key = event.id, identity = "fact of " .. event.id,
      at = event.time, value = { word = "w" }, headers = { h = "x" } })
    if event.id == "bad" then error("no") end"""
    _, said = author(body, event(), event(id="bad"))
    assert said[0]["published"] == [{
        "topic": "news.v1", "key": "t-1", "identity": "fact of t-1",
        "at": "2025-06-28T08:00:00.000001Z", "value": {"word": "w"}, "headers": {"h": "x"}}]
    assert said[1]["outcome"] == "rejected" and said[1]["published"] == []
    done, _ = author(body, event(), options=())
    assert """  published
    news.v1  key = "t-1"  identity = "fact of t-1"  at = 2025-06-28T08:00:00.000001Z
        {"word":"w"}
        headers {"h":"x"}
""" in done.stdout


def test_ids_that_an_event_touches_are_shown_if_it_is_applied(author):
    """Those of its merges' keys too: what the tags of a route have to name."""
    body = """view:touch("z") view:touch("a \\"b\\"")
    view.things:merge(event.id, "said", { words = { "no tag" } })
    if event.id == "bad" then error("no") end"""
    _, said = author(body, event(), event(id="bad"), event(1, id="t-2"))
    assert [one["touches"] for one in said[:3]] == [['a "b"', "t-1", "z"], [], ['a "b"', "t-2", "z"]]
    done, _ = author(body, event(), options=())
    assert '\n  touches "a \\"b\\"", "t-1", "z"\n' in done.stdout


def test_reactions_that_the_events_would_start_are_named_with_their_keys(run):
    end = objects(run(SAMPLES / "current.jsonl", "--json"))[-1]
    keys = {row["key"]["batch_id"] for row in end["rows"] if row["table"] == "phase_outcomes"}
    ready = next(one for one in end["reactions"] if one["reaction"] == "reactions/results_ready")
    assert ready["query"] == "reaction_results" and keys <= set(ready["keys"])
    assert ready["keys"] == sorted(set(ready["keys"]))
    text = run(SAMPLES / "current.jsonl").stdout
    assert re.search(r"^reactions that these events would run\n    reactions/\w+, by \w+\.sql, "
                     rf'for "{sorted(ready["keys"])[0]}"', text, re.M)
    slots = objects(run("essay_slot_assigned", SAMPLES / "current.jsonl", "--json"))[-1]
    assert slots["reactions"] == []


def test_rows_are_merged_by_the_declared_rules(author):
    events = [event(1, 20, word="late"), event(2, 10, word="early"), event(3, 10, id="t-2")]
    _, said = author("view.things:merge(event.id, 'said', { word = event.word })\n"
                     "view.things:merge(event.id, 'least', { first_at = event.time })", *events,
                     fields='word = { "data.word", optional = true }')
    end = said[-1]
    first, second = end["rows"]
    assert first["key"] == {"thing_id": "t-1"} and second["key"] == {"thing_id": "t-2"}
    assert first["groups"]["said"]["event_id"] == events[0]["event_id"]
    assert first["groups"]["said"]["at"] == "2025-06-28T08:00:20.000001Z"
    assert first["groups"]["said"]["columns"]["word"] == "late"
    assert first["groups"]["least"]["columns"] == {"first_at": "2025-06-28T08:00:10.000001Z"}
    assert [(one["table"], one["rows"]) for one in end["statements"]] == [("things", 2)]


def test_postgres_takes_the_statements(bare_service, run):
    statements = objects(run(SAMPLES / "current.jsonl", "--json"))[-1]["statements"]
    assert {one["table"] for one in statements} >= {"batch_results", "essay_results"}
    for one in statements:
        bare_service.query("PREPARE statement AS " + one["sql"])


# ---- reactions -----------------------------------------------------------------------------------

REACTION = """local json = require("json")
return { follows = { things = "thing_id" }, query = "named", publish = function(row)
  if row.word == nil then return nil end
  if row.word == "bad" then error("cannot say " .. row.key) end
  if row.word == "loop" then while true do end end
  return { topic = "news.v1", key = row.key, identity = row.key .. " is " .. row.word, at = row.at,
    value = { words = row.words, said = row.document and json.decode(row.document).said,
      good = row.good, share = row.share } }
end }"""


@pytest.fixture
def react(run, tmp_path):
    """react(rows, …): tries a reaction on them; the process, and with --json its objects."""
    for folder in ("scripts/handlers", "scripts/reactions", "sql/queries"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "scripts/view.lua").write_text(VIEW)
    (tmp_path / "scripts/reactions/named.lua").write_text(REACTION)
    (tmp_path / "sql/queries/named.sql").write_text("SELECT thing_id AS key FROM things WHERE "
                                                    "thing_id = ANY(:keys::text[])")
    env = {"SCRIPTS_ROOT": str(tmp_path / "scripts"), "SQL_ROOT": str(tmp_path / "sql")}

    def start(rows, *options, name="named"):
        text = rows if isinstance(rows, str) else json.dumps(rows)
        done = run("--reaction", name, "--row", "-", *options, text=text, **env)
        return done, objects(done) if "--json" in options else []

    return start


AT = 1751097600000000
MESSAGE = {"topic": "news.v1", "key": "t-1", "identity": "t-1 is w", "at": "2025-06-28T08:00:00.000000Z",
           "value": {"words": ["a", "b"], "said": 1.5, "good": False, "share": 0.25}, "headers": {}}


def test_the_messages_of_a_reaction_for_a_row_are_shown(react):
    row = {"key": "t-1", "word": "w", "at": AT, "words": ["a", "b"], "good": False, "share": 0.25,
           "document": {"said": 1.5}}
    quiet = row | {"word": None}
    done, said = react([row, quiet], "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert said == [
        {"reaction": "reactions/named", "row": 1, "error": None, "published": [MESSAGE]},
        {"reaction": "reactions/named", "row": 2, "error": None, "published": []}]
    done, _ = react(row)
    assert re.search(r'^standard input row 1  reactions/named\n  published\n    news\.v1  key = "t-1"  '
                     r'identity = "t-1 is w"', done.stdout)
    assert react(quiet)[0].stdout.endswith("row 1  reactions/named\n  publishes nothing\n")


def test_the_key_of_a_row_is_a_text_as_in_production(react):
    row = {"word": "w", "at": AT, "words": [], "document": {"said": 1}, "good": True, "share": 1}
    done, said = react([row | {"key": 7}, row | {"key": 2**53 + 1}], "--json")
    assert done.returncode == 0, done.stderr
    assert [one["published"][0]["key"] for one in said] == ["7", "9007199254740993"]


@pytest.mark.parametrize("word, reason", [
    ("bad", r"reactions/named\.lua:4: cannot say t-1"), ("loop", r"named\.lua:5: the script took too long"),
    ("w", r'reactions/named\.lua:\d+: the row has no column "document"')])
def test_a_reaction_that_fails_says_where_and_the_next_row_is_tried(react, word, reason):
    row = {"key": "t-1", "word": word, "at": AT, "words": [], "good": True, "share": 1}
    done, said = react([row, row | {"word": None}], "--json")
    assert done.returncode == 1
    assert re.search(reason, said[0]["error"]), said[0]["error"]
    assert [one["published"] for one in said] == [[], []] and said[1]["error"] is None


@pytest.mark.parametrize("rows, name, reason", [
    ("[", "named", "standard input: not JSON"), ("[1]", "named", "row 1 is a number: a row is a JSON"),
    ('"text"', "named", "row 1 is a string"), ("null", "named", "row 1 is null: a row is a JSON"),
    ("[{}, null]", "named", "row 2 is null"), ("[]", "named", "standard input has no row"),
    ("[{}, []]", "named", "row 2 is a list"),
    ("{}", "namd", 'no reaction "namd": did you mean "named"? There are: named')])
def test_an_invalid_row_or_reaction_is_refused(react, rows, name, reason):
    done, _ = react(rows, name=name)
    assert (done.returncode, done.stdout) == (2, "") and reason in done.stderr, done.stderr


# ---- what is rejected ----------------------------------------------------------------------------

def test_a_malformed_event_is_rejected_with_the_fields_read_so_far(author):
    done, said = author("", event(count="many"), event(),
                        fields='count = { "data.count", type = "integer", optional = true }')
    assert done.returncode == 1
    assert (said[0]["outcome"], said[0]["reason"]) == ("rejected", "wrong_type")
    assert said[0]["detail"] == "data.count is a string, not a number"
    assert said[0]["fields"] == {"event_type": "things.v1", "id": "t-1"} and said[0]["merges"] == []
    assert (said[1]["outcome"], said[1]["reason"]) == ("applied", None)
    assert said[1]["fields"] == {"event_type": "things.v1", "id": "t-1", "count": None}


def test_an_error_of_a_handler_names_file_and_line_and_leaves_no_merge(author):
    body = ("view.things:merge(event.id, 'said', {})\n"
            "local function fail() error('no ' .. event.id) end\nfail()")
    done, said = author(body, event())
    assert done.returncode == 1
    assert said[0]["reason"] == "handler_error"
    detail = said[0]["detail"].splitlines()
    assert re.search(r"handlers/thing\.lua:4: no t-1$", detail[0])
    assert "stack traceback:" in detail[1] and "handlers/thing.lua:5:" in said[0]["detail"]
    assert said[0]["merges"] == said[-1]["rows"] == said[-1]["statements"] == []
    text, _ = author(body, event(), options=())
    assert re.search(r"^  handler_error: (\S+: )?\S+/thing\.lua:4: no t-1$", text.stdout, re.M)
    assert re.search(r"^    stack traceback:$", text.stdout, re.M)


def test_a_looping_handler_is_ended_and_the_next_event_handled(author):
    done, said = author("if event.id == 'loop' then while true do end end\nreturn 'ignored'",
                        event(id="loop"), event())
    assert done.returncode == 1
    assert [one["outcome"] for one in said[:2]] == ["rejected", "ignored"]
    assert said[0]["reason"] == "handler_timeout"


@contextlib.contextmanager
def listener():
    """A port, and a list of the connections that came."""
    came = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        def accept():
            with contextlib.suppress(OSError):
                while True:
                    came.append(server.accept()[0])
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1], came
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


CALLS = {
    "pg.query": "require('pg').query('batch_status', { batch_id = 'b' })",
    "pg.transaction": "require('pg').transaction(function() end)",
    "redis.call": "require('redis').call('GET', 'x')",
    "redis.pipeline": "require('redis').pipeline({ { 'GET', 'x' } })",
    "http.request": "require('http').request({ url = 'http://127.0.0.1:' .. event.port })",
}


@pytest.mark.parametrize("call", CALLS)
def test_no_outside_system_is_touched_even_by_a_replaced_state(author, call):
    body = f"if event.id == 'loop' then while true do end end\n" \
           f"local got, failure = {CALLS[call]}\n" \
           f"failure = failure or {{ kind = 'none', message = '' }}\n" \
           f"error(type(got) .. ' ' .. failure.kind .. ' ' .. failure.message)"
    with listener() as (port, came):
        _, said = author(body, event(port=str(port)), event(id="loop", port=str(port)),
                         event(port=str(port)), fields='port = "data.port"',
                         RESULT_AGGREGATOR_SERVICE_DATABASE_URL=f"postgresql://u@127.0.0.1:{port}/d",
                         REDIS_URL=f"redis://127.0.0.1:{port}",
                         KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{port}")
        assert came == []
    for one in (said[0], said[2]):
        assert "nil unavailable unavailable: try touches no outside system" in one["detail"]
    assert said[1]["reason"] == "handler_timeout"


# ---- what goes in --------------------------------------------------------------------------------

def test_the_form_of_a_file_is_detected_from_its_content(run, tmp_path):
    record = slot_event("b-1", "e-1", "Ö.docx")
    envelope = record["value"]
    for text, line in ((json.dumps(record) + "\n\n" + json.dumps(record), 1),
                       (json.dumps(envelope), 1), ("\n\n" + json.dumps(envelope, indent=2), 3),
                       (json.dumps(record, indent=2) + "\n", 1)):
        for source, given in ((tmp_path / "file", None), ("-", text)):
            (tmp_path / "file").write_text(text)
            done = run("essay_slot_assigned", source, "--json", text=given)
            said = objects(done)
            assert done.returncode == 0, done.stderr
            assert (said[0]["line"], said[0]["outcome"]) == (line, "applied")
            assert said[0]["fields"]["filename"] == "Ö.docx"


def test_any_bytes_are_handled_from_base64(author):
    raw = base64.b64encode(b'{"event_id": "\xff"}').decode()
    _, said = author("", {"topic": "things.v1", "raw_b64": raw},
                     {"topic": "things.v1", "raw_b64": None}, {"topic": "things.v1", "value": [1]})
    assert [one["reason"] for one in said[:3]] == ["bad_utf8", "null_value", "not_object"]
    assert [one["event_id"] for one in said[:3]] == [None] * 3


@pytest.mark.parametrize("raw", ["not base64", "eA", "eA=", "eA===", "=", "e=A=", "e", "ö", 1, ["eA=="]])
def test_other_values_than_base64_are_refused(author, raw):
    done, _ = author("", {"topic": "things.v1", "raw_b64": raw})
    assert done.returncode == 2 and "raw_b64 takes base64" in done.stderr, done.stderr


def test_a_bare_event_is_told_by_the_envelope_of_the_scripts(author):
    other = 'return { id = "meta.id", time = "meta.at", correlation_id = "trace" }'
    one = {"meta": {"id": EVENT_ID, "at": "2025-06-28T08:00:00Z"}, "data": {"id": "t-1"}}
    _, said = author("", one, envelope=other)
    assert (said[0]["outcome"], said[0]["event_id"]) == ("applied", EVENT_ID)
    done, _ = author("", one, envelope=ENVELOPE)
    assert done.returncode == 2 and "neither a record" in done.stderr, done.stderr


GOOD = json.dumps({"event_id": EVENT_ID, "data": {}})


@pytest.mark.parametrize("text, place, reason", [
    ("", "", "has no event"), (" \n\t\n", "", "has no event"),
    (f"{GOOD}\n\n{GOOD[:-1]}\n{GOOD}", ":3", "not JSON"),
    ('{\n  "event_id": 1,\n  "data" 2\n}', ":3", "not JSON"),
    (f"{GOOD}\n[1]", ":2", "an event is a JSON object, not a list"),
    (f'{GOOD}\n{{"topics": "x"}}', ":2", "neither a record"),
    (f"{GOOD} {GOOD}", ":1", "not JSON"), (f"{GOOD}\n\0\n", "", "holds a NUL byte"),
])
def test_a_file_that_holds_something_else_is_refused_with_its_line(run, tmp_path, text, place,
                                                                   reason):
    file = tmp_path / "wrong.jsonl"
    file.write_text(text)
    done = run("essay_slot_assigned", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"wrong.jsonl{place}" in done.stderr and reason in done.stderr, done.stderr


@pytest.mark.parametrize("name", ["essay_slot_assigned", "handlers/essay_slot_assigned",
                                  "handlers/essay_slot_assigned.lua",
                                  "scripts/handlers/essay_slot_assigned.lua"])
def test_a_handler_is_found_by_any_form_of_its_name(run, name):
    done = run(name, SAMPLES / "current.jsonl", "--json")
    *events, end = objects(done)
    assert {one["handler"] for one in events} == {"handlers/essay_slot_assigned", None}
    assert {one["outcome"] for one in events} == {"applied", "unread"}
    assert {row["table"] for row in end["rows"]} == {"essay_results"}


@pytest.mark.parametrize("arguments, reason", [
    (("essay_slot_asigned", "-"), 'no handler "essay_slot_asigned": did you mean '
     '"essay_slot_assigned"? There are: assessment_result, '),
    (("lot_assigned", "-"), 'no handler "lot_assigned"'),
    (("nothing", "-"), 'no handler "nothing". There are: assessment_result, '),
    (("nowhere.jsonl",), "nowhere.jsonl cannot be read: No such file"), (("spec",), "cannot be read"),
    (("spec/fixtures/events/spellcheck_result.success.json",), "json:1: the event has no topic: "
     "name the handler"),
    (("essay_slot_assigned", "-"), "no event of the file has a topic that is read"),
])
def test_a_wrong_argument_gets_an_error_with_the_valid_form(run, arguments, reason):
    record = json.dumps({"topic": "things.v1", "value": {}})
    done = run(*arguments, text=record)
    assert done.returncode == 2 and reason in done.stderr, done.stderr


def test_scripts_that_cannot_be_loaded_are_named(run, tmp_path):
    (tmp_path / "view.lua").write_text("return {\n")
    done = run(SAMPLES / "current.jsonl", SCRIPTS_ROOT=str(tmp_path))
    assert done.returncode == 1 and "view.lua:2" in done.stderr, done.stderr


def test_terminal_controls_in_an_event_are_escaped(run):
    events = ROOT / "spec/fixtures/cases/terminal_escape_in_reject_detail.jsonl"
    for options in ((), ("--json",)):
        done = run("essay_slot_assigned", events, *options)
        assert "rejected" in done.stdout
        assert not set(done.stdout + done.stderr) & {"\x1b", "\x07", "\u202e", "\u009b"}
