"""Handlers act on other systems only where events are ingested. Every other command reaches no
outside system, and keeps and names rows that rest on a reply from one."""
import http.server
import json
import re
import shutil
import threading

import pytest
import redis
import stack
from harness import edited_config, read_records
from scripts_copy import Scripts, command, view_with
from stack import ROOT, wait_until
from test_rebuild import dump, rebuild, verify

CASES = ROOT / "spec/fixtures/cases"
FEEDBACK = "huleedu.nlp.feedback.completed.v1"
HANDLER = "scripts/handlers/nlp_feedback.lua"
ARCHIVES = """CREATE TABLE batch_archives (batch_id text PRIMARY KEY, archive_at timestamptz,
              archive_event_id uuid, archived boolean, reason text)"""


def nlp_events():
    return [json.loads(line) for line in (CASES / "nlp_events.jsonl").read_text().splitlines()]


class ContentService:
    """A service with the title of every essay; counts requests."""

    def __init__(self):
        self.requests = requests = []
        self.status = 200
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                requests.append(self.path)
                body = json.dumps({"title": "Essay " + self.path.rsplit("/", 1)[1]}).encode()
                self.send_response(service.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop(self):
        """Closes its port."""
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()


@pytest.fixture
def content(cleanup):
    content = ContentService()
    cleanup.callback(content.stop)
    return content


@pytest.fixture
def kafka(build, tmp_path, cleanup):
    kafka = stack.EmbeddedKafka(tmp_path, build, stack.topics() + [FEEDBACK])
    cleanup.callback(kafka.stop)
    return kafka.start()


@pytest.fixture
def bare_service(make_service, cleanup, kafka):
    service = make_service(cleanup, kafka)
    service.query((CASES / "9002_essay_nlp.sql").read_text())
    service.query(ARCHIVES)
    return service


@pytest.fixture
def scripts(bare_service, content):
    scripts = Scripts(bare_service.folder)
    scripts.write("scripts/view.lua", view_with("nlp_tables.lua"))
    shutil.copy(CASES / "handler_with_side_effects_nlp_feedback.lua", scripts.folder / HANDLER)
    scripts.edit(HANDLER, "127.0.0.1:18999", f"127.0.0.1:{content.port}")
    return scripts


@pytest.fixture
def service(bare_service, scripts):
    """A service that has handled every event of the case and a stream."""
    bare_service.start(**scripts.env)
    bare_service.wait_ready()
    bare_service.feed("current")
    bare_service.publish(nlp_events())
    bare_service.wait_committed(len(read_records("current")) + len(nlp_events()))
    return bare_service


def rows(service):
    return service.query("SELECT e::text FROM essay_nlp e ORDER BY essay_id") + \
        sorted(dump(service).items())


def announced(service):
    """The number of messages of the handler; their facts are too old to be sent."""
    return service.query("SELECT count(*) FROM aggregator_state.outbox WHERE source = 'handlers/nlp_feedback'")[0][0]


def run(service, *words):
    done = service.program.command(*words, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_no_command_reaches_an_outside_system(service, scripts, content):
    keys = redis.Redis(port=service.redis.port)
    events = len(nlp_events())
    asked = len(content.requests)  # a request that times out on a busy machine is made again
    assert asked >= 2 * events and announced(service) == events
    before = rows(service), sorted(keys.keys("nlp:*"))
    assert len(before[1]) == events
    scripts.edit(HANDLER, "--- Per-essay", "--- A comment that changed. Per-essay")
    for words in (("verify",), ("rebuild", "--yes"), ("explain", "essay", "essay-1", "--since",
                                                      "beginning"),
                  ("diff",), ("reload", "--shadow-run"), ("check",), ("types",),
                  ("try", CASES / "nlp_events.jsonl"),
                  ("tap", "--from-beginning", "--topic", FEEDBACK, "--limit", events)):
        done = service.program.command(*words, check=False)
        assert done.returncode == (words[0] == "try"), (words, done.stdout, done.stderr)
        assert len(content.requests) == asked, words
        assert (rows(service), sorted(keys.keys("nlp:*"))) == before, words
    service.publish([variant(nlp_events()[0], "one more")])
    wait_until("the live event's message", lambda: announced(service) > events)
    assert announced(service) == events + 1


def variant(record, event):
    record["value"] |= {"event_id": f"{len(event):08}-0000-4000-8000-000000000000"}
    record["value"]["data"]["timestamp"] = "2026-03-01T10:00:00Z"
    return record


@pytest.mark.parametrize("failure", ["raised", "hidden"])
def test_a_rebuild_keeps_and_lists_rows_that_rest_on_an_unavailable_service(service, scripts, content,
                                                                        failure):
    content.stop()
    if failure == "hidden":
        scripts.edit(HANDLER, "error(failure and failure.message or answer.status)",
                     "title = failure.message")
    before = rows(service)
    service.query("INSERT INTO essay_nlp (essay_id, nlp_at, nlp_event_id, language) VALUES "
                  "('nobody', now(), gen_random_uuid(), 'x')")
    service.query("UPDATE essay_results SET filename = 'wrong' WHERE essay_id = "
                  "(SELECT min(essay_id) FROM essay_results WHERE filename IS NOT NULL)")
    said = rebuild(service, "--yes", **scripts.env)
    assert f"{len(nlp_events())} events of handlers/nlp_feedback depend on http" in said
    assert "essay_nlp: 2 rows depend on events that cannot be repeated and are kept" in said
    assert re.search(rf"kept       essay_id=essay-1  \(nlp: {FEEDBACK}/\d/\d+, "
                     r"handlers/nlp_feedback depends on http\)", said)
    assert "extra      essay_id=nobody" in said and "filename: wrong" in said
    assert "2 rows repaired" in said and "events of the log were rejected" not in said
    assert rows(service) == before


def test_verify_of_an_intact_view_lists_rows_that_were_not_derived(service, scripts):
    said = verify(service, **scripts.env)
    assert said.endswith("2 rows depend on events that cannot be repeated: not derived again\n"
                         "the view matches the log\n")
    assert "essay_nlp: equal" in said
    service.query("UPDATE essay_nlp SET nlp_event_id = gen_random_uuid() WHERE essay_id = 'essay-1'")
    said = verify(service, status=1, **scripts.env)
    assert "extra      essay_id=essay-1" in said and "essay_nlp: 1 row depends on" in said


def test_a_newer_event_of_the_log_replaces_a_value_from_outside(service, scripts):
    scripts.edit(HANDLER, "handle = function(event, view)\n", """handle = function(event, view)
    if event.essays[1].count == 99 then
      view.essay_nlp:merge("essay-1", "nlp", { batch_id = event.batch_id, feedback_count = 99,
        score = 1, language = "known" })
      return
    end
""")
    assert command(service.program, "reload")[0] == 0
    older = service.query("SELECT nlp_at, nlp_event_id FROM essay_nlp WHERE essay_id = 'essay-1'")[0]
    newer = variant(nlp_events()[0], "newer")
    newer["value"]["data"]["essays"][0]["count"] = 99
    service.publish([newer])
    wait_until("the newer event", lambda: service.query(
        "SELECT 1 FROM essay_nlp WHERE language = 'known'"))
    before = rows(service)
    service.query("UPDATE essay_nlp SET nlp_at = %s, nlp_event_id = %s, language = 'old' "
                  "WHERE essay_id = 'essay-1'", *older)
    said = rebuild(service, "--yes", **scripts.env)
    assert "language: old  from the log: known" in said and "1 row repaired" in said
    assert "kept       essay_id=essay-1" not in said and "kept       essay_id=essay-2" in said
    assert rows(service) == before


def test_a_minimum_that_may_come_from_outside_is_kept(service, scripts):
    scripts.edit(HANDLER, "view:touch(event.batch_id)", """
    for _, essay in ipairs(event.essays) do
      view.essay_results:merge(essay.essay_id, "first_result", { first_result_at = event.time })
    end""")
    assert command(service.program, "reload")[0] == 0
    service.publish([variant(nlp_events()[0], "minimum")])
    wait_until("the minimum", lambda: service.query(
        "SELECT 1 FROM essay_results WHERE essay_id = 'essay-1'"))
    before = rows(service)
    said = rebuild(service, "--yes", **scripts.env)
    assert "essay_results: 2 rows depend on events that cannot be repeated" in said
    assert "kept       essay_id=essay-1  (first_result: the min is not in the log)" in said
    assert rows(service) == before


def test_a_handler_that_times_out_in_a_rebuild_loses_no_row(service, scripts):
    file = "scripts/handlers/essay_slot_assigned.lua"
    scripts.edit(file, "handle = function(event, view)\n", """handle = function(event, view)
    local text = ""
    for _ = 1, 200000 do text = (text .. "x"):sub(-8) end
""")
    before = rows(service)
    config = edited_config(service.folder / "hasty.lua",
                           ("handler_timeout_ms = 1000", "handler_timeout_ms = 1"))
    said = service.prepare(config, **scripts.env).command("rebuild", "--yes").stdout
    assert re.search(r"\d+ events of handlers/essay_slot_assigned depend on its time limit", said)
    assert "nothing to change" in said
    assert rows(service) == before


def test_explain_names_a_writer_that_cannot_be_derived_again(service):
    said = json.loads(run(service, "explain", "essay", "essay-1", "--since", "beginning", "--json"))
    row, = said["rows"]
    event, = row["groups"][0]["events"]
    assert (event["outcome"], event["rests_on"], event["topic"]) == ("wrote", "http", FEEDBACK)
    assert event["event_id"] == row["groups"][0]["event_id"] == nlp_events()[-1]["value"]["event_id"]
    assert {other["outcome"] for other in said["without_effect"]} == {"not derived"}
    text = run(service, "explain", "essay", "essay-1", "--since", "beginning")
    assert "depends on a reply of http: not derived again" in text
    assert "its event is not in the part of the log" not in text


def test_rejected_events_are_retried_for_effect(service, content):
    events = len(nlp_events())
    content.status = 404
    service.publish([variant(nlp_events()[0], "one more")])
    wait_until("the rejection", lambda: service.query("SELECT 1 FROM aggregator_state.rejected_events"))
    content.status = 200
    asked = len(content.requests)
    wait_until("an answer in time", lambda: "1 applied" in run(
        service, "rejected", "retry", "--all", "--yes"))
    assert len(content.requests) >= asked + 2
    wait_until("its message", lambda: announced(service) == events + 1)


def test_a_shadow_run_compares_no_event_that_asks_outside(service, scripts):
    events = len(nlp_events())
    scripts.edit(HANDLER, "language = title or", 'language = "new " .. (title or "") or')
    said = json.loads(run(service, "diff", "--json"))
    assert said["equal"] is True and said["newly_rejected"] == 0
    assert said["not_compared"] == events and len(said["not_compared_events"]) == 10
    assert said["not_compared_events"][0]["rests_on"] == "http"
    assert f"not compared, because of replies of other systems: {events} events" in run(service, "diff")
    scripts.edit(HANDLER, "for _, essay in ipairs(event.essays) do",
                 'if event.batch_id then error("on purpose") end\n'
                 "    for _, essay in ipairs(event.essays) do")
    done = service.program.command("diff", "--json", check=False)
    assert done.returncode == 1 and json.loads(done.stdout)["newly_rejected"] == events


def test_try_names_the_system_that_the_handler_asked(service):
    done = service.program.command("try", CASES / "nlp_events.jsonl", check=False)
    assert "depends on http, which sends no reply here" in done.stdout


