"""The administration port: authentication, verbs, and that it delays nothing else."""
import json
import shutil
import signal
import socket
import urllib.error
import urllib.parse
import urllib.request

import pytest
from harness import hold_up, log_lines, of_threads, read_records
from stack import API_KEY, ROOT, free_port, wait_until

KEY = "admin-key"
SPELLCHECK = "huleedu.essay.spellcheck.results.v1"


@pytest.fixture
def service(bare_service):
    """A program with an administration port."""
    bare_service.start(ADMIN_API_KEY=f"{KEY},next-key", ADMIN_PORT=str(free_port()))
    bare_service.wait_ready()
    return bare_service


def ask(program, path, method="GET", headers=None):
    """(status, JSON, headers) of the administration's response; status 0: no response."""
    headers = {"Authorization": f"Bearer {KEY}"} if headers is None else headers
    request = urllib.request.Request(f"http://127.0.0.1:{program.env['ADMIN_PORT']}{path}",
                                     method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), error.headers
    except OSError:
        return 0, None, {}


def test_without_a_key_nothing_listens(bare_service):
    program = bare_service.start(ADMIN_PORT=str(free_port()))
    assert ask(program, "/admin/status")[0] == 0
    running = wait_until("the line", lambda: log_lines(program, "running"))
    assert running[0]["admin_port"] == 0


@pytest.mark.parametrize("headers, reason", [
    ({}, "Missing authentication"),
    ({"Authorization": KEY}, "Missing authentication"),
    ({"Authorization": "Bearer "}, "Missing authentication"),
    ({"Authorization": f"Basic {KEY}"}, "Missing authentication"),
    ({"Authorization": "Bearer admin-ke"}, "Invalid credentials"),
    ({"Authorization": f"Bearer {API_KEY}"}, "Invalid credentials"),
    ({"X-Internal-API-Key": API_KEY, "X-Service-ID": "api-gateway-service"},
     "Missing authentication")])
def test_requests_without_an_admin_key_are_refused(service, headers, reason):
    for path in ("/admin/status", "/nowhere"):
        status, said, _ = ask(service.program, path, headers=headers)
        assert (status, said) == (401, {"error": reason})


def test_keys_are_rotated_side_by_side(service):
    assert ask(service.program, "/admin/status")[0] == 200
    assert ask(service.program, "/admin/status",
               headers={"Authorization": "bearer next-key"})[0] == 200


def test_the_two_listeners_share_no_path(service):
    assert service.program.get("/admin/status")[0] == 404
    for path in ("/healthz", "/metrics", "/internal/v1/batches/x/status", "/admin", "/x"):
        assert ask(service.program, path)[0] == 404


def test_the_log_says_why_a_request_was_refused(service):
    status, said, _ = ask(service.program, "/admin/rollback/no-number", "POST")
    assert status == 400
    line = wait_until("the line", lambda: log_lines(service.program, "request refused"))[0]
    assert (line["endpoint"], line["status"], line["error"]) == ("admin_rollback", 400, said["error"])
    assert line["correlation_id"]


def test_the_log_has_the_text_of_a_refused_reload(bare_service):
    scripts = bare_service.folder / "scripts"
    shutil.copytree(ROOT / "scripts", scripts)
    program = bare_service.start(ADMIN_API_KEY=KEY, ADMIN_PORT=str(free_port()),
                                 SCRIPTS_ROOT=str(scripts))
    bare_service.wait_ready()
    (scripts / "handlers/slip.lua").write_text("return {\n  nonsense = 1,\n  more = 2,\n}\n")
    status, said, _ = ask(program, "/admin/reload", "POST")
    assert status == 409 and '"nonsense"' in said["error"] and "\n" in said["error"]
    line = wait_until("the line", lambda: log_lines(program, "request refused"))[0]
    assert line["error"] == said["error"]


def test_status_is_what_the_command_says(service):
    status, said, headers = ask(service.program, "/admin/status")
    assert status == 200 and headers["Cache-Control"] == "no-store"
    assert said["port"] == service.program.port and said["ready"] is True
    assert said.keys() == json.loads(service.program.command("status", "--json", check=False).stdout).keys()


def test_verbs_that_change_something_need_post(service):
    status, _, headers = ask(service.program, "/admin/resume")
    assert (status, headers["Allow"]) == (405, "POST")
    assert ask(service.program, "/admin/resume", "POST")[:2] == (200, {"resumed_workers": 0})


@pytest.fixture
def essay(service):
    """The id of an essay whose spell check has been taken."""
    record = next(record for record in read_records("current") if record["topic"] == SPELLCHECK)
    service.publish([record])
    service.wait_committed(1)
    return record["value"]["data"]["entity_id"]


def test_an_explanation_is_what_the_command_says(service, essay):
    command = service.program.command("explain", "essay", essay, "--since", "beginning", "--json")
    status, said, _ = ask(service.program, f"/admin/explain/essay/{essay}?since=beginning")
    assert status == 200 and said == json.loads(command.stdout)
    assert said["rows"] and said["records_read"] == 1
    status, said, _ = ask(service.program,
                          f"/admin/explain/{essay}?since=beginning&table=batch_results")
    assert status == 200 and said["rows"] == []


@pytest.mark.parametrize("question, reason", [
    ("pupil/x", "no key column is called pupil"),
    ("x?table=pupils", "the view has no table pupils"),
    ("x?since=yesterday", "--since is"),
    ("x?limit=3", "unknown parameter: send table or since"),
    ("x?since=beginning&since=beginning", "A query parameter is repeated"),
    ("%00", "Invalid path parameter")])
def test_an_invalid_request_is_refused_with_its_reason(service, question, reason):
    status, said, _ = ask(service.program, f"/admin/explain/{question}")
    assert status == 400 and reason in said["error"]


def test_an_id_that_looks_like_an_option_is_an_id(service):
    for odd in ("--yes", "-", "a b", "'; DROP TABLE essay_results; --"):
        status, said, _ = ask(service.program,
                              f"/admin/explain/{urllib.parse.quote(odd)}?since=beginning")
        assert status == 200 and said["id"] == odd and said["rows"] == []


def test_a_failed_explanation_says_why(service, essay):
    service.kafka.stop()
    status, said, _ = ask(service.program, f"/admin/explain/{essay}?since=beginning")
    assert status == 503 and "topics of Kafka" in said["error"]


@pytest.fixture
def held_up(service, essay, cleanup):
    """An explanation that waits for a lock; yields the lock and a list for the response."""
    return hold_up(service, cleanup, "aggregator explain", lambda: ask(
        service.program, f"/admin/explain/{essay}?since=beginning"))


def test_one_explanation_runs_at_a_time_and_delays_nothing_else(service, held_up, essay):
    lock, thread, answers = held_up
    assert ask(service.program, f"/admin/explain/{essay}")[:2] == \
        (503, {"error": "another explain is running: try again later"})
    assert ask(service.program, "/admin/status")[0] == 200
    lock.rollback()
    thread.join()
    assert answers[0][0] == 200
    assert ask(service.program, f"/admin/explain/{essay}?since=beginning")[0] == 200


def test_stopping_does_not_wait_for_an_explanation(service, held_up):
    _, thread, answers = held_up
    assert service.program.stop() == 0
    thread.join()
    assert answers[0][:2] == (503, {"error": "the program is stopping"})
    assert not service.query("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
                             "AND starts_with(application_name, 'aggregator') AND state <> 'active'")


@pytest.mark.parametrize("more", ["", "&contains=--each"])
def test_a_tap_of_a_topic_that_kafka_lacks_ends_with_the_reason(service, more):
    assert ask(service.program, f"/admin/tap/start?topic=nope{more}", "POST")[1]["running"]
    ended = wait_until("the end", lambda: (lambda said: not said["running"] and said)(
        ask(service.program, "/admin/tap")[1]))
    assert "nope" in ended["ended"] and not ended["events"]
    assert ask(service.program, "/admin/status")[0] == 200


@pytest.mark.parametrize("query, reason", [
    ("ids=", "ids is empty"), ("ids=,", "ids has an empty id"), ("topic=", "must not be empty"),
    ("topic=x&SECOND=", "must not be empty"), ("ids=1&topic=x", "say which in one way"),
    ("all=true&topic=x", "say which in one way"), ("ids=1&all=true", "say which in one way"),
    ("", "say which in one way")])
def test_what_a_change_is_for_is_said_in_one_way(service, query, reason):
    for path, second in (("rejected/retry", "reason"), ("rejected/drop", "reason"),
                         ("outbox/retry", "key"), ("outbox/drop", "key")):
        status, said, _ = ask(service.program, f"/admin/{path}?{query.replace('SECOND', second)}", "POST")
        assert status == 400 and reason in said["error"], path


@pytest.mark.parametrize("query", ["events=5&x=1", "interpreted=yes", "drop=true"])
def test_a_diff_names_the_parameters_that_a_diff_takes(service, query):
    status, said, _ = ask(service.program, f"/admin/diff?{query}", "POST")
    assert (status, said["error"]) == (400, "a diff takes events=N and interpreted=true only")


def test_the_running_scripts_are_compared_by_their_number(service):
    for query in ("from=1&to=disk", "from=running&to=1"):
        status, said, _ = ask(service.program, f"/admin/script-changes?{query}")
        assert status == 200 and said["files"] == [], said


def thread_states(program):
    """The letters of proc(5): T is stopped."""
    return {text.rpartition(")")[2].split()[0] for text in of_threads(program.process.pid, "stat").values()}


def test_a_command_whose_client_left_before_it_began_does_nothing(service):
    """As after a freeze of the process: the operator may have done something else meanwhile."""
    program = service.program
    program.send(signal.SIGSTOP)
    wait_until("the stop of every thread", lambda: thread_states(program) == {"T"})
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(program.env["ADMIN_SOCKET"])
        client.sendall(b"rollback\n")
    program.send(signal.SIGCONT)
    line, = wait_until("the abandoned command", lambda: log_lines(
        program, "command not begun: its client left"))
    assert line["verb"] == "rollback"
    assert not log_lines(program, "the scripts were not replaced")


@pytest.mark.parametrize("query", ["ids=x", "topic=nope", "reason=x", "all=true"])
def test_a_retry_of_no_event_is_a_mistake_of_the_request(service, query):
    status, said, _ = ask(service.program, f"/admin/rejected/retry?{query}", "POST")
    assert status == 400 and said["error"].startswith("no such rejected event: it was retried")


@pytest.mark.parametrize("path, reason", [
    ("outbox?state=zz", "state is pending, sent, settled or failed"),
    ("outbox?state=", "state is pending, sent, settled or failed"),
    ("outbox?before_us=5", "unknown parameter: send topic, key,"),
    ("rejected?state=failed", "unknown parameter: send topic, reason,"),
    ("rejected?before=5", "before and before_us are sent together"),
    ("rejected?before_us=5", "before and before_us are sent together"),
    ("config?changed=yes", "send only=SECTION.KEY or changed=true"),
    ("status?x=1", "unknown parameter: send none"), ("partitions?x=1", "unknown parameter: send none")])
def test_what_no_command_takes_is_a_mistake_of_the_request(service, path, reason):
    status, said, _ = ask(service.program, f"/admin/{path}")
    assert status == 400 and said["error"].startswith(reason)
    for state in ("pending", "sent", "settled", "failed"):
        assert ask(service.program, f"/admin/outbox?state={state}")[0] == 200


def test_a_list_of_messages_follows_a_number(service):
    for before in ("x", "9" * 40):
        status, said, _ = ask(service.program, f"/admin/outbox?before={before}")
        assert (status, said["error"]) == (400, "before is the id of a message, a whole number")
