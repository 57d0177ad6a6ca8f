"""The contracts: events of both releases are accepted, and every response conforms to the API
description."""
import json
import re
import socket

import openapi
import pytest
from harness import check_counted, expectations
from stack import HEADERS, ROOT, UNREAD_TOPIC, wait_until
from views import check_form, status_path

EVENTS = ROOT / "spec/fixtures/events"
BATCH = "02cdf2af-19de-4bc1-b4ff-00ae3f1347de"
KNOWN = next(iter(expectations("current")))
USER = expectations("current")[KNOWN]["user_id"]
LIST = f"/internal/v1/batches/user/{USER}"
WRONG_KEY = HEADERS | {"X-Internal-API-Key": "wrong"}
WRONG_SERVICE = HEADERS | {"X-Service-ID": "wrong"}


def events(release):
    return [json.loads(line) for line in (EVENTS / f"{release}.jsonl").read_text().splitlines()]


def feed_release(service, release, change=lambda record: record):
    lines = [change(record) for record in events(release)]
    service.publish(lines)
    service.wait_committed(sum(line["topic"] != UNREAD_TOPIC for line in lines))
    rejected = service.query("SELECT topic, reason, detail FROM aggregator_state.rejected_events")
    assert rejected == []
    answer = service.program.status_of(BATCH)
    check_form(answer)
    return answer


@pytest.mark.parametrize("release", ["first", "current"])
def test_every_event_of_a_release_is_accepted(service, release):
    answer = feed_release(service, release)
    essays = {essay["essay_id"]: essay for essay in answer["essays"]}
    done = essays["c42b7170-902a-474f-91fa-2ac0079dd25a"]
    failed = essays["6b77730f-65bd-4acb-b57a-6a1dfaf8cda9"]
    assert (done["spellcheck_status"], done["spellcheck_correction_count"]) == ("completed", 6)
    assert (done["cj_assessment_status"], done["cj_rank"], done["cj_score"]) == (
        "completed", 1, 2.998155)
    assert failed["spellcheck_status"] == "failed"
    assert failed["spellcheck_error_detail"]["message"] == (
        "Failed to fetch original content: 404 Not Found")
    assert (answer["completed_essay_count"], answer["failed_essay_count"]) == (1, 1)
    assert answer["overall_status"] == "completed_with_failures"
    assert answer["user_id"] == {"first": "teacher-seed-0000",
                                 "current": "teacher-head-0000"}[release]
    check_counted(service.program, "ras_ignored_messages_total", int(release == "current"))


def test_the_first_releases_spelling_of_the_outcome_topic_is_read(service):
    def other_spelling(record):
        old = "huleedu.els.batch.phase.outcome.v1"
        new = "huleedu.els.batch_phase.outcome.v1"
        return json.loads(json.dumps(record).replace(old, new))

    answer = feed_release(service, "first", other_spelling)
    assert [phase["phase_name"] for phase in answer["phases"]] == ["spellcheck"]


def test_unknown_fields_are_ignored_at_every_level(service):
    def with_more(node):
        if isinstance(node, dict):
            return {key: with_more(value) for key, value in node.items()} | {"unknown": {"x": [1]}}
        return [with_more(item) if isinstance(item, dict) else item for item in node] \
            if isinstance(node, list) else node

    feed_release(service, "current",
                 lambda record: record | {"value": with_more(record["value"])})


def test_the_api_description_is_a_valid_document():
    openapi.check_document()


def test_the_api_description_is_served(fed):
    status, body, _ = fed.program.get("/openapi.json", {})
    assert (status, json.loads(body)) == (200, openapi.document())


@pytest.mark.parametrize("path, method, headers, status", [
    (status_path(KNOWN), "GET", HEADERS, 200),
    (status_path(KNOWN), "HEAD", HEADERS, 200),
    (f"/batches/{KNOWN}/status", "GET", HEADERS, 200),
    (status_path(KNOWN), "GET", HEADERS | {"X-Internal-API-Key": "old-key"}, 200),
    (status_path("unknown"), "GET", HEADERS, 404),
    (status_path("unknown"), "HEAD", HEADERS, 404),
    (status_path("%ff"), "GET", HEADERS, 400),
    (status_path("%00"), "GET", HEADERS, 400),
    (status_path("%2e%2e"), "GET", HEADERS, 404), (status_path("'; --"), "GET", HEADERS, 404),
    (status_path(KNOWN), "GET", {}, 401), (status_path(KNOWN), "GET", WRONG_KEY, 401),
    (status_path(KNOWN), "GET", WRONG_SERVICE, 401), (LIST, "GET", WRONG_KEY, 401),
    (status_path(KNOWN), "POST", HEADERS, 405), (status_path(KNOWN), "DELETE", HEADERS, 405),
    (LIST, "PUT", HEADERS, 405), ("/healthz", "POST", {}, 405), ("/metrics", "PUT", {}, 405),
    (LIST, "GET", HEADERS, 200), (f"{LIST}?limit=1", "GET", HEADERS, 200),
    (f"{LIST}?offset=1000", "GET", HEADERS, 200), (f"{LIST}?limit=0", "GET", HEADERS, 400),
    (f"{LIST}?status=no", "GET", HEADERS, 400), (LIST, "HEAD", HEADERS, 200),
    ("/nowhere", "GET", HEADERS, 404), ("/", "GET", {}, 404), ("/nowhere", "POST", {}, 404),
    (status_path(KNOWN) + "/", "GET", HEADERS, 404),
    ("/healthz", "GET", {}, 200), ("/healthz", "HEAD", {}, 200), ("/readyz", "GET", {}, 200),
    ("/metrics", "GET", {}, 200), ("/openapi.json", "GET", {}, 200)])
def test_responses_conform_to_the_description(fed, path, method, headers, status):
    fed.wait_ready()
    answer = fed.program.get(path.replace(" ", "%20"), headers, method)
    assert answer[0] == status, answer[1]
    openapi.check_answer(path, method, answer)


@pytest.mark.parametrize("headers, message", [
    ({}, "Missing authentication"),
    ({"X-Internal-API-Key": "wrong"}, "Missing authentication"),
    ({"X-Service-ID": "api-gateway-service"}, "Missing authentication"),
    (HEADERS | {"X-Internal-API-Key": ""}, "Missing authentication"),
    (WRONG_KEY, "Invalid credentials"), (WRONG_SERVICE, "Invalid credentials"),
    (HEADERS | {"X-Internal-API-Key": "TEST-KEY"}, "Invalid credentials"),
    (HEADERS | {"X-Internal-API-Key": "old-key,test-key"}, "Invalid credentials")])
def test_refused_credentials_are_told_apart(fed, headers, message):
    for path in (status_path(KNOWN), status_path("unknown"), LIST):
        status, body, _ = fed.program.get(path, headers)
        assert (status, json.loads(body)) == (401, {"error": message})


def test_an_unchanged_response_is_not_sent_again(fed):
    path = status_path(KNOWN)
    tag = fed.program.get(path)[2]["ETag"]
    for wanted in (tag, f'"other", {tag}', f"W/{tag}"):
        answer = fed.program.get(path, HEADERS | {"If-None-Match": wanted})
        assert answer[0] == 304, wanted
        openapi.check_answer(path, "GET", answer)
        assert answer[2]["ETag"] == tag
    assert fed.program.get(path, HEADERS | {"If-None-Match": '"other"'})[0] == 200


def test_if_none_match_star_gives_304(fed):
    assert fed.program.get(status_path(KNOWN), HEADERS | {"If-None-Match": "*"})[0] == 304
    assert fed.program.get(status_path("no"), HEADERS | {"If-None-Match": "*"})[0] == 404


def test_head_has_the_content_length_of_get(fed):
    _, body, headers = fed.program.get(status_path(KNOWN))
    head = fed.program.get(status_path(KNOWN), method="HEAD")
    assert int(head[2]["Content-Length"]) == len(body) == int(headers["Content-Length"])
    assert head[2]["ETag"] == headers["ETag"]


def test_the_correlation_id_is_returned_and_made_if_unusable(fed):
    def of(given):
        return fed.program.get("/nowhere", {"X-Correlation-ID": given})[2]["X-Correlation-ID"]

    assert of("abc-1 2.3") == "abc-1 2.3"
    assert of("x" * 128) == "x" * 128
    made = [of("x" * 129), of("caf\xe9"), of("")]
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", id) for id in made)
    assert len(set(made)) == 3


def test_every_metric_has_its_help_and_its_type(fed):
    wait_until("the lag", lambda: "ras_consumer_lag_messages" in
               fed.program.get("/metrics", {})[1].decode())
    text = fed.program.get("/metrics", {})[1].decode()
    described, helped = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert name not in described
            described[name] = kind
        elif line.startswith("# HELP "):
            assert len(line.split(" ", 3)[3]) > 5, line
            helped.add(line.split()[2])
        else:
            assert re.fullmatch(r'\w+(\{(\w+="[^"\n]*",?)*\})? [0-9.e+-]+|\w+.* \+?Inf', line), line
            name = re.match(r"\w+", line)[0]
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert described.get(name) in ("counter", "gauge") or \
                described.get(base) == "histogram", line
    assert helped == described.keys()
    assert {"ras_api_requests_total", "ras_messages_processed_total", "ras_cache_misses_total",
            "ras_consumer_lag_messages", "ras_dependency_up",
            "ras_script_generation"} <= described.keys()


def test_a_raw_request_with_two_lengths_is_refused(fed):
    """A proxy could frame it differently."""
    with socket.create_connection(("127.0.0.1", fed.program.port), timeout=120) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        assert b" 400 " in connection.recv(4096).split(b"\r\n")[0]
