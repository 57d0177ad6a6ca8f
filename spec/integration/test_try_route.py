"""aggregator try --path and --reaction --key: requests and reactions without a running program, on
stubs or on a read-only database; and what scripts print."""
import json
import os
import re
import shutil
import subprocess

import pytest
from harness import records
from stack import ROOT

BATCH = "15dea567-4e5f-4139-ac56-1758f0bab263"
STATUS = f"/internal/v1/batches/{BATCH}/status"
NOWHERE = {"RESULT_AGGREGATOR_SERVICE_DATABASE_URL": "postgresql://ras@127.0.0.1:1/ras",
           "REDIS_URL": "redis://127.0.0.1:1", "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}

ROUTE = """local http, json, kafka, pg, redis = require("http"), require("json"), require("kafka"), require("pg"), require("redis")
return {
  method = "POST", path = "/things/{id}", endpoint = "things", auth = true,
  query = { dry = { type = "boolean", optional = true } },
  headers = { key = { "Idempotency-Key", optional = true } },
  body = { max_bytes = 200, fields = { word = "word" } },
  handle = function(request)
    print("thing", request.params.id, request.body.word, {}, nil)
    if request.body.word == "bad" then error("no " .. request.headers.key) end
    local cached = redis.call("GET", "thing:" .. request.params.id)
    local answer, failure = http.request({ url = "http://words/" .. request.body.word })
    if not answer then return { unavailable = failure } end
    kafka.produce({ topic = "things.v1", key = request.params.id, value = "{}" })
    local rows = assert(pg.query("things", { id = request.params.id }))
    local undone, why = pg.transaction(function(tx)
      tx.query("things", { id = "other" })
      tx.rollback()
      return "undone"
    end)
    return { status = 201, headers = { Location = "/things/7" }, tags = { request.params.id, "t" },
      body = json.encode({ cached = cached or "none", status = answer.status, rows = #rows,
        undone = undone, dry = request.query.dry or false }) }
  end,
}"""
STUBS = """local pg = require("doubles.pg")
pg.answers("things", { { word = "w" }, { word = "x" } })
require("doubles.redis").answers("GET", "kept")
require("doubles.http").answers("http://words/w", { status = 204 })
"""


@pytest.fixture
def author(build, tmp_path):
    """author(…): `aggregator try …` in a service with one route, where no server is."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copytree(ROOT / "sql", tmp_path / "sql")
    (tmp_path / "scripts/routes/things.lua").write_text(ROUTE)
    (tmp_path / "sql/queries/things.sql").write_text("SELECT :id::text AS word")
    (tmp_path / "stubs.lua").write_text(STUBS)

    def start(*arguments, body=None, env=None, stubs=True):
        stub_arguments = ("--stubs", tmp_path / "stubs.lua") if stubs else ()
        return subprocess.run(
            [build / "aggregator", "try", *map(str, (*arguments, *stub_arguments))], cwd=ROOT,
            env=os.environ | NOWHERE | {"SCRIPTS_ROOT": str(tmp_path / "scripts"),
                                        "SQL_ROOT": str(tmp_path / "sql")} | (env or {}),
            input=json.dumps(body) if body is not None else None, capture_output=True, text=True,
            check=False, timeout=60)

    start.folder = tmp_path
    return start


def post(author, *arguments, word="w", **options):
    return author("--path", "/things/7", "--body", "-", *arguments, body={"word": word}, **options)


# ---- stubs ---------------------------------------------------------------------------------------

def test_a_request_gets_the_response_of_its_route_with_what_it_asked_and_its_tags(author):
    done = post(author, "--header", "X-Correlation-ID: mine")
    assert done.returncode == 0, done.stderr
    head, rest = done.stdout.split("\n\n", 1)
    assert head.startswith("HTTP/1.1 201 Created\nContent-Type: application/json\n")
    assert "\nLocation: /things/7" in head and "\nX-Correlation-ID: mine" in head
    body, notes = rest.split("\n", 1)
    assert json.loads(body) == {"cached": "kept", "status": 204, "rows": 2, "undone": "undone",
                                "dry": False}
    for line in (r"routes/things  \d+\.\d ms", r'    redis\.call  \["GET","thing:7"\]  "kept"  .* ms',
                 r"    http\.request  GET http://words/w  .*204.* ms",
                 r'    kafka\.produce  .*"topic":"things\.v1".* ms',
                 r'    pg\.query  things  {"id":"7"}  2 rows  .* ms',
                 r'    tx\.query  things  {"id":"other"}  2 rows  .* ms', r'  tags    "7","t"'):
        assert re.search(rf"^{line}$", notes, re.M), (line, notes)
    assert re.search(r"^\S+routes/things\.lua:8: thing\t7\tw\ttable\tnil$", done.stderr, re.M)


STREAM = """local pg = require("pg")
return { method = "GET", path = "/words/{id}", endpoint = "words", stream = true,
  handle = function(request)
    return { status = 200, headers = { ["Content-Type"] = "text/plain" }, stream = function(write)
      return pg.each("things", { id = pg.bytes("b") }, function(row) write(row.word .. "\\n") end)
    end }
  end,
}"""


def test_a_streamed_response_is_shown_whole(author):
    (author.folder / "scripts/routes/words.lua").write_text(STREAM)
    done = author("--path", "/words/7")
    assert done.returncode == 0, done.stdout
    head, body, notes = done.stdout.split("\n\n")
    assert "Content-Type: text/plain" in head and "ETag" not in head and body == "w\nx"
    assert re.search(r"pg\.each  things  .*  2 rows  ", notes)


def test_a_long_stream_runs_to_its_end_and_is_cut(author):
    """What the program serves is no failure here."""
    (author.folder / "scripts/routes/words.lua").write_text(STREAM.replace(
        'return pg.each(', 'for _ = 1, 17 do write(("x"):rep(2^20) .. "\\n") end return pg.each('))
    done = author("--path", "/words/7")
    head, body, notes = done.stdout.split("\n\n")
    assert done.returncode == 0 and head.startswith("HTTP/1.1 200 OK"), (head, notes)
    assert len(body) == 2**24 and "Content-Length" not in head
    assert f"\n  cut     the last {2**20 + 21} bytes of the body are not shown\n" in notes
    assert re.search(r"pg\.each  things  .*  2 rows  ", notes)
    said = json.loads(author("--path", "/words/7", "--json").stdout)
    assert (said["status"], said["dropped_bytes"], len(said["body"])) == (200, 2**20 + 21, 2**24)


def test_the_json_form_has_the_same(author):
    said = json.loads(post(author, "--json").stdout)
    assert (said["route"], said["status"], said["error"], said["cache_key"]) == (
        "routes/things", 201, None, None)
    assert said["headers"]["Location"] == "/things/7" and json.loads(said["body"])["rows"] == 2
    assert said["tags"] == ["7", "t"] and said["took_us"] > 0
    calls = {call["call"]: call for call in said["calls"]}
    assert list(call["call"] for call in said["calls"]) == [
        "redis.call", "http.request", "kafka.produce", "pg.query", "pg.transaction", "tx.query",
        "tx.rollback"]
    assert (calls["pg.query"]["about"], calls["pg.query"]["arguments"], calls["pg.query"]["rows"]) == (
        "things", {"id": "7"}, 2)
    assert calls["http.request"]["result"]["status"] == 204


@pytest.mark.parametrize("arguments, status, text", [
    (("--path", "/things/7?dry=maybe", "--method", "POST", "--body", "BODY"), 400, "dry"),
    (("--path", "/things/7?dri=true", "--body", "BODY"), 400, "dri"),
    (("--path", "/things/7"), 405, "Method not allowed"),
    (("--path", "/thing/7"), 404, "Not found"),
    (("--path", "/things/7", "--body", "BODY", "--header", "Content-Type: text/plain"), 415,
     "Content-Type must be application/json"),
    (("--path", "/things/7", "--method", "POST"), 411, "Content-Length"),
    (("--path", "/things/7", "--body", "LONG"), 413, "longer than 200 bytes"),
    (("--path", "/things/7", "--body", "WRONG"), 400, "word"),
    (("--path", "/things/%zz", "--body", "BODY"), 400, "Invalid path parameter"),
])
def test_a_request_is_refused_as_production_refuses_it(author, arguments, status, text):
    for name, body in (("BODY", {"word": "w"}), ("LONG", {"word": "w" * 300}), ("WRONG", {})):
        (author.folder / name).write_text(json.dumps(body))
    done = author(*(author.folder / word if word in ("BODY", "LONG", "WRONG") else word
                    for word in arguments))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"HTTP/1.1 {status} ") and text in done.stdout, done.stdout
    assert "  asked\n" not in done.stdout and "thing\t" not in done.stderr


def test_an_error_of_the_script_is_a_500_with_its_place_and_a_failure_of_a_system_a_503(author):
    done = post(author, "--header", "Idempotency-Key: k", word="bad")
    assert done.returncode == 1 and done.stdout.startswith("HTTP/1.1 500 ")
    assert re.search(r"^  failed: (\S+: )?\S+routes/things\.lua:9: no k$", done.stdout, re.M)
    assert "stack traceback" in done.stdout
    (author.folder / "stubs.lua").write_text('require("doubles.http").fails("http://words/w")')
    done = post(author)
    assert done.returncode == 1 and done.stdout.startswith("HTTP/1.1 503 ")
    assert "\nRetry-After: 1" in done.stdout and "unavailable: the double fails" in done.stdout


def test_an_error_of_a_binding_names_the_line_of_the_script(author):
    route = author.folder / "scripts/routes/things.lua"
    route.write_text(ROUTE.replace('{ id = request.params.id }', '{ id = function() end }'))
    done = post(author)
    assert re.search(r"^  failed: (\S+: )?\S+routes/things\.lua:1[0-9]: .*parameter \"id\"", done.stdout, re.M)


@pytest.mark.parametrize("text, reason", [
    ("pg.answers(1)", r"stubs\.lua:1: global \"pg\" is not declared"), ("local x = ", r"stubs\.lua:1: "),
    ('require("doubles.pg").answers("thing", {})', r'no query "thing": did you mean "things"')])
def test_a_mistake_in_the_stubs_is_named(author, text, reason):
    (author.folder / "stubs.lua").write_text(text)
    done = post(author)
    assert (done.returncode, done.stdout) == (2, "") and re.search(reason, done.stderr), done.stderr


def test_a_problem_document_and_head_are_answered_as_by_the_server(author):
    done = author("--path", "/nowhere", "--header", "Accept: application/problem+json")
    assert json.loads(done.stdout.split("\n\n")[1])["instance"] == "/nowhere"
    assert "no route of the scripts has this path: there are /internal/v1/" in done.stderr
    done = author("--path", "/internal/v1/batches/{batch_id}/statuss?x=1")
    assert 'did you mean "/internal/v1/batches/{batch_id}/status"?' in done.stderr
    (author.folder / "stubs.lua").write_text(
        'require("doubles.pg").answers("batch_status", { { body = "{}", tags = { "b" } } })')
    done = author("--path", STATUS, "--method", "HEAD")
    assert "\nContent-Length: 2" in done.stdout and "{}" not in done.stdout
    assert f'cached  api:batch:{BATCH}  for 300 s\n' in done.stdout and 'tags    "b"' in done.stdout


def test_handlers_get_the_stubs_too(author):
    handler = author.folder / "scripts/handlers/essay_slot_assigned.lua"
    text = handler.read_text()
    assert "handle = function(event, view)" in text
    handler.write_text(text.replace(
        "handle = function(event, view)",
        'handle = function(event, view)\n    print("slot", event.essay_id)\n'
        '    assert(require("redis").call("GET", "x") == "kept")'))
    events = author.folder / "events.jsonl"
    one = next(record for record in records("current")
               if record["topic"] == "huleedu.els.essay.slot.assigned.v1")
    events.write_text(json.dumps(one) + "\n")
    done = author("essay_slot_assigned", events)
    assert done.returncode == 0, done.stdout
    assert '    redis.call  ["GET","x"]  "kept"' in done.stdout
    assert re.search(r"handlers/essay_slot_assigned\.lua:\d+: slot\t", done.stderr)
    said = json.loads(author("essay_slot_assigned", events, "--json").stdout.splitlines()[0])
    assert said["calls"][0]["call"] == "redis.call" and said["rests_on"] is None


@pytest.mark.parametrize("arguments, reason", [
    (("--path", "/x", "--reaction", "r"), "one of these"), (("--method", "GET", "-"), "need --path"),
    (("--key", "k", "-"), "need --reaction"), (("--reaction", "r"), "needs --row FILE|- or --key KEY"),
    (("--reaction", "r", "--row", "-", "--key", "k"), "one of the two"),
    (("--path", "/x", "--body", "nowhere"), "nowhere cannot be read"),
    (("--path", "/x", "--header", "A b"), "400 Bad Request"),
    (("--path", "/x", "--header", "A: b\nC"), "line break"),
    (("--path", "/x HTTP/1.1\r\n\r\nGET /y"), "line break")])
def test_arguments_that_do_not_fit_are_refused(author, arguments, reason):
    done = author(*arguments, body={}, stubs=False)
    assert reason in done.stdout + done.stderr, done.stdout + done.stderr


# ---- the database --------------------------------------------------------------------------------

@pytest.fixture
def database(fed):
    """The database of a service that has read the samples, as variables."""
    return {"RESULT_AGGREGATOR_SERVICE_DATABASE_URL": fed.database_url}


def test_without_stubs_the_database_replies_and_cannot_be_written(author, database, fed):
    batch = fed.query("SELECT batch_id FROM batch_results ORDER BY 1 LIMIT 1")[0][0]
    done = author("--path", f"/internal/v1/batches/{batch}/status", stubs=False, env=database)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.split("\n\n")[1])["batch_id"] == batch
    assert "ETag: " in done.stdout and re.search(r"pg\.query  batch_status .*  1 row  ", done.stdout)
    assert f'"{batch}"' in done.stdout.split("  tags ")[1]
    (author.folder / "sql/queries/things.sql").write_text(
        "UPDATE batch_results SET user_id = :id::text RETURNING user_id AS word")
    route = author.folder / "scripts/routes/things.lua"
    route.write_text(re.sub(r"(?s)local cached.*?local rows", "local cached, answer = nil, {}\nlocal rows",
                            ROUTE))
    done = post(author, stubs=False, env=database)
    assert done.stdout.startswith("HTTP/1.1 500 ") and "read-only transaction" in done.stdout
    assert "--stubs FILE gives the query's rows" in done.stdout
    assert "aggregator:" not in done.stderr
    assert not fed.query("SELECT 1 FROM batch_results WHERE user_id = '7'")


def test_an_unreachable_database_names_the_setting_and_the_file_of_tools_run(author, tmp_path):
    done = author("--path", STATUS, stubs=False)
    assert done.returncode == 1 and done.stdout.startswith("HTTP/1.1 503 ")
    assert "\n  its address is the setting postgres.url (" in done.stderr
    assert "config.lua:" in done.stderr


def test_a_reaction_gets_the_rows_of_its_query_for_keys(author, database, fed):
    key = fed.query("SELECT batch_id FROM batch_results ORDER BY 1 LIMIT 1")[0][0]
    done = author("--reaction", "results_ready", "--key", key, "--key", "nobody", stubs=False,
                  env=database)
    assert done.returncode == 0, done.stderr
    assert "queries/reaction_results.sql row 1  reactions/results_ready" in done.stdout
    assert 'reaction_results.sql gives no row for the key "nobody"' in done.stdout
    said = [json.loads(line) for line in author(
        "--reaction", "results_ready", "--key", key, "--key", "nobody", "--json", stubs=False,
        env=database).stdout.splitlines()]
    assert said[0]["error"] is None and said[-1]["missing_key"] == "nobody"


# ---- print ---------------------------------------------------------------------------------------

def test_specs_and_the_console_print_to_standard_error_with_the_scripts_name(author, build):
    (author.folder / "scripts/lib/loud.lua").write_text('print("loading")\nreturn { word = "w" }\n')
    spec = author.folder / "loud_spec.lua"
    spec.write_text('describe("x", function() it("y", function()\n'
                    'print(require("lib.loud").word, 1.5) end) end)\n')
    env = os.environ | NOWHERE | {"SCRIPTS_ROOT": str(author.folder / "scripts"),
                                  "SQL_ROOT": str(author.folder / "sql")}
    run = {"cwd": ROOT, "env": env, "capture_output": True, "text": True, "check": True, "timeout": 60}
    done = subprocess.run([build / "aggregator", "test", spec], **run)
    assert done.stdout == "1 passed, 0 failed\n"
    assert done.stderr == (f"{author.folder}/scripts/lib/loud.lua:1: loading\n{spec}:2: w\t1.5\n")
    done = subprocess.run([build / "aggregator", "repl"], input='require("lib.loud").word\n', **run)
    assert (done.stdout, done.stderr) == ('w\n', f"{author.folder}/scripts/lib/loud.lua:1: loading\n")
