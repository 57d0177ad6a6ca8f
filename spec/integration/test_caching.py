"""Routes that choose how they are cached: what responses vary with, how long they are served, stale ones,
and their streams. Two processes share a database and a Redis."""
import concurrent.futures
import contextlib
import http.client
import json
import shutil
import socket
import uuid

import psycopg2
import pytest
from harness import log_lines, slot_event, statement_calls
from http_client import KEYS
from stack import HEADERS, ROOT, wait_until
from test_cache import processed

pytestmark = pytest.mark.xdist_group("caching")

# Its response holds what the route has read, and the number of its query: a cached one has an old number.
NOTES = """
local json = require("json")
local pg = require("pg")
return {
  path = "/notes/{id}", auth = true, live = true,
  query = { limit = { type = "integer", optional = true, min = 1, max = 9 },
            state = { optional = true } },
  headers = { language = { "Accept-Language", optional = true },
              caller = { "X-Service-ID", optional = true } },
  cache = { key = "notes:{id}", vary = { query = { "limit", "state" },
                                         headers = { "language", "caller" } } },
  handle = function(request)
    local rows, failure = pg.query("number", {})
    if not rows then return { unavailable = failure } end
    return { status = 200, tags = { request.params.id }, body = json.encode({
      id = request.params.id, number = rows[1].number, limit = request.query.limit,
      state = request.query.state, language = request.headers.language,
      caller = request.headers.caller }) }
  end,
}
"""
STALE = """
local pg = require("pg")
return {
  path = "/%s/{id}", auth = false,
  cache = { key = "%s:{id}", type = "%s", ttl_s = 1, %s },
  handle = function(request)
    local rows, failure = pg.query("number", {})
    if not rows then return { unavailable = failure } end
    return { status = rows[1].status, tags = { request.params.id },
             body = '{"number":' .. rows[1].number .. "}" }
  end,
}
"""
STALES = {"revalidated": "stale_while_revalidate_s = 600",
          "fallback": "stale_if_error_s = 600",
          "outdated": "stale_while_revalidate_s = 600, stale_after_commit = true",
          "aged": "max_age_s = 60"}
NUMBER = "SELECT nextval('numbers')::integer AS number, (SELECT value FROM answer_status) AS status"


@pytest.fixture(scope="module")
def shared(make_service, tmp_path_factory):
    """A service of two programs."""
    folder = tmp_path_factory.mktemp("caching")
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    shutil.copytree(ROOT / "sql", folder / "sql")
    (folder / "sql/queries/number.sql").write_text(NUMBER)
    (folder / "scripts/routes/notes.lua").write_text(NOTES)
    for name, keys in STALES.items():
        (folder / f"scripts/routes/{name}.lua").write_text(STALE % (name, name, name, keys))
    with contextlib.ExitStack() as cleanup:
        service = make_service(cleanup)
        service.query("CREATE SEQUENCE numbers")
        service.query("CREATE TABLE answer_status (value integer NOT NULL)")
        service.query("INSERT INTO answer_status VALUES (200)")
        for _ in range(2):
            service.start(SCRIPTS_ROOT=str(folder / "scripts"), SQL_ROOT=str(folder / "sql"))
        for program in service.programs:
            service.wait_ready(program)
        yield service


@pytest.fixture
def program(shared):
    return shared.program


@pytest.fixture
def other(shared):
    return shared.programs[1]


def cell(program, name, **labels):
    """The value of a metric's cell; 0 if there is none."""
    for line in program.get("/metrics")[1].decode().splitlines():
        if line.startswith(name + "{") and all(f'{label}="{value}"' in line
                                               for label, value in labels.items()):
            return float(line.rsplit(" ", 1)[1])
    return 0


def refreshes(program, cache_type):
    return cell(program, "ras_cache_refreshes_total", cache_type=cache_type, result="good")


def stale(program, cache_type, reason):
    return cell(program, "ras_cache_stale_total", cache_type=cache_type, reason=reason)


def number(program, path, **headers):
    status, body, _ = program.get(path, HEADERS | headers)
    assert status == 200, body
    return json.loads(body)["number"]


def commit(service, *events):
    """Publishes events and waits until they are processed."""
    before = processed(service)
    service.publish(events)
    wait_until("the events", lambda: processed(service) >= before + len(events))


def touch(service, batch_id):
    """Commits an event that names the batch."""
    commit(service, slot_event(batch_id, "essay-of-caching", "a.txt"))


def test_requests_with_the_same_values_share_a_response(program):
    path = "/notes/same"
    first = number(program, f"{path}?limit=5&state=a", **{"Accept-Language": "sv"})
    assert number(program, f"{path}?state=a&limit=5", **{"accept-language": "sv"}) == first


@pytest.mark.parametrize("query, headers", [
    ("", {}), ("?limit=5", {}), ("?limit=6", {}), ("?state=a", {}), ("?state=", {}),
    ("?limit=5&state=a", {}), ("?state=a%26limit%3D5", {}), ("?state=5%23Accept-Language%3Dsv", {}),
    ("", {"Accept-Language": "sv"}), ("", {"Accept-Language": ""}),
    ("?limit=5", {"Accept-Language": "sv"}), ("", {"X-Service-ID": "api-gateway-service"}),
])
def test_requests_that_differ_share_none(program, other, query, headers):
    """Nor through Redis."""
    for asked in (program, other, program):
        status, body, head = asked.get(f"/notes/vary{query}", HEADERS | headers)
        answer = json.loads(body)
        assert status == 200, body
        assert answer.get("caller") == headers.get("X-Service-ID", HEADERS["X-Service-ID"])
        assert answer.get("language") == headers.get("Accept-Language")
        wanted = dict(pair.split("=") for pair in query[1:].split("&") if query)
        assert answer.get("limit") == (int(wanted["limit"]) if "limit" in wanted else None)
        state = wanted.get("state")
        assert answer.get("state") == (state and state.replace("%26", "&").replace("%3D", "=")
                                       .replace("%23", "#"))
        assert head["Vary"] == "Accept-Language, X-Service-ID"
        assert head["Cache-Control"] == "private, no-cache"


def raw_language(program, lines):
    """What a route reads of the header's lines."""
    with socket.create_connection(("127.0.0.1", program.port), timeout=120) as connection:
        connection.sendall(b"GET /notes/raw HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + KEYS + lines
                           + b"\r\n")
        response = http.client.HTTPResponse(connection)
        response.begin()
        return json.loads(response.read()).get("language")


@pytest.mark.parametrize("lines, language", [
    (b"", None), (b"Accept-Language:\r\n", ""), (b"Accept-Language: sv\r\n", "sv"),
    (b"accept-LANGUAGE:sv \r\n", "sv"), (b"Accept-Language: sv\r\nAccept-Language: en\r\n", "sv, en"),
    (b"Accept-Language: sv, en\r\n", "sv, en"), (b"Accept-Language: en\r\nAccept-Language: sv\r\n", "en, sv"),
    (b"Accept-Language: sv&limit=5#X-Service-ID=x\r\n", "sv&limit=5#X-Service-ID=x"),
    (b"Accept-Languages: sv\r\n", None), (b"X-Accept-Language: sv\r\n", None),
])
def test_a_header_counts_as_the_route_reads_it(program, lines, language):
    """In one line or several (RFC 9110 5.3); from the cache as from the route."""
    assert [raw_language(program, lines) for _ in range(2)] == [language] * 2


def test_a_request_that_does_not_fit_is_refused_and_not_cached(program):
    for _ in range(2):
        status, body, _ = program.get("/notes/wrong?limit=10", HEADERS)
        assert (status, json.loads(body)["error"]) == (
            400, "Invalid query: limit is 10: it takes a whole number from 1 to 9")
    assert program.get("/notes/wrong?lmit=5", HEADERS)[0] == 400


def test_a_value_that_is_too_long_for_a_key_is_served_and_not_cached(program):
    path = "/notes/long?state=" + "x" * 2000
    assert number(program, path) < number(program, path)


def test_a_commit_drops_every_variant_in_every_process(shared, program, other):
    paths = ["/notes/dropped", "/notes/dropped?limit=5"]
    before = {path: number(program, path) for path in paths}
    wait_until("the responses in Redis", lambda: all(
        number(other, path) == before[path] for path in paths))
    touch(shared, "dropped")
    for path in paths:
        for asked in (program, other):
            wait_until("a new one", lambda path=path, asked=asked: number(asked, path) > before[path])


def test_a_response_is_served_for_its_own_age(program):
    first = number(program, "/aged/own")
    assert number(program, "/aged/own") == first
    wait_until("a new one", lambda: number(program, "/aged/own") > first, 30)


def test_the_head_tells_a_client_how_long_it_may_keep_a_response(program):
    status, _, head = program.get("/aged/head")
    assert status == 200
    assert (head["Cache-Control"], head["Age"]) == ("public, max-age=60", "0")
    status, _, head = program.get("/aged/head", {"If-None-Match": head["ETag"]})
    assert (status, head["Cache-Control"]) == (304, "public, max-age=60")
    assert int(head["Age"]) <= 1


@contextlib.contextmanager
def database_slow(service):
    """Queries of the routes wait."""
    with contextlib.closing(psycopg2.connect(service.database_url)) as connection:
        connection.cursor().execute("LOCK TABLE answer_status IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


def waiting_queries(service):
    return len(service.query("SELECT 1 FROM pg_locks WHERE relation = 'answer_status'::regclass "
                             "AND NOT granted"))


def test_a_stale_response_is_served_while_one_request_refreshes_it(shared, program):
    path = "/revalidated/many"
    first = number(program, path)
    with database_slow(shared), concurrent.futures.ThreadPoolExecutor(8) as pool:
        wait_until("a refresh that waits",
                   lambda: number(program, path) == first and waiting_queries(shared))
        assert set(pool.map(lambda _: number(program, path), range(100))) == {first}
        assert waiting_queries(shared) == 1
    wait_until("the refreshed one", lambda: number(program, path) > first)
    assert stale(program, "revalidated", "refresh") >= 100
    assert refreshes(program, "revalidated") >= 1


def test_a_commit_drops_a_response_that_may_be_served_stale(shared, program):
    first = number(program, "/revalidated/committed")
    touch(shared, "committed")
    wait_until("a new one", lambda: number(program, "/revalidated/committed") > first)


def test_a_route_may_serve_what_a_commit_outdated_and_refreshes_it(shared, program):
    path = "/outdated/chosen"
    first = number(program, path)
    with database_slow(shared):
        touch(shared, "chosen")
        assert number(program, path) == first
    wait_until("the refreshed one", lambda: number(program, path) > first)


@contextlib.contextmanager
def failing(service, status):
    """The routes respond with the status."""
    service.query("UPDATE answer_status SET value = %s", status)
    try:
        yield
    finally:
        service.query("UPDATE answer_status SET value = 200")


def wait_stale(program, path, first):
    """Waits until the response has passed its age: the route fails, and it is still served."""
    before = stale(program, "fallback", "error")

    def served():
        assert number(program, path) == first
        return stale(program, "fallback", "error") > before

    wait_until("the stale response", served)


def test_a_route_that_fails_serves_its_stale_response_in_every_process(shared, program, other):
    path = "/fallback/fails"
    first = number(program, path)
    with failing(shared, 500):
        wait_stale(program, path, first)
        assert number(other, path) == first, "the one of Redis"
        assert program.get("/fallback/unknown")[0] == 500
    lines = log_lines(program, "route failed: a stale response stays in use")
    assert lines and lines[0]["error"] == "the route responded with status 500"
    wait_until("a new one", lambda: number(program, path) > first)


def test_an_answer_that_is_no_failure_replaces_the_stale_response(shared, program):
    path = "/fallback/gone"
    number(program, path)
    with failing(shared, 422):
        wait_until("the answer", lambda: program.get(path)[0] == 422)
    assert program.get(path)[0] == 200


# ---- streams ---------------------------------------------------------------------------------


def test_a_stream_has_the_query_and_the_headers_of_its_route(shared, other, open_stream):
    stream = open_stream(other, "/notes/stream/events?limit=5&answer=true&state=a%26b",
                         headers=b"Accept-Language: sv\r\n")
    answer = stream.wait_events(1)[0]["data"]["answer"]
    assert {name: answer[name] for name in ("limit", "state", "language")} == {
        "limit": 5, "state": "a&b", "language": "sv"}
    touch(shared, "stream")
    assert stream.wait_events(2)[1]["data"]["answer"]["number"] > answer["number"]


@pytest.mark.parametrize("query, error", [
    ("?lmit=5", 'Unknown query parameter "lmit": did you mean "limit"?'),
    ("?limit=10", "Invalid query: limit is 10: it takes a whole number from 1 to 9"),
    ("?answer=yes", "A stream takes the query parameter answer=true or answer=false"),
])
def test_a_stream_that_does_not_fit_its_route_is_refused(program, query, error):
    status, body, _ = program.get("/notes/refused/events" + query, HEADERS)
    assert (status, json.loads(body)["error"]) == (400, error)


# ---- lists of a user -------------------------------------------------------------------------


def list_path(user, query=""):
    return f"/internal/v1/batches/user/{user}{query}"


def listed(program, user, query=""):
    status, body, _ = program.get(list_path(user, query), HEADERS)
    assert status == 200, body
    return {batch["batch_id"]: [essay["filename"] for essay in batch["essays"]]
            for batch in json.loads(body)["batches"]}


def fixture(name, topic):
    text = (ROOT / f"spec/fixtures/events/{name}.json").read_text()
    event = json.loads(text) | {"event_id": str(uuid.uuid4())}
    return {"topic": topic, "key": "k", "value": event}


def registered(batch_id, user, essay_ids):
    event = fixture("batch_registered.current", "huleedu.batch.essays.registered.v1")
    event["value"]["data"] |= {"entity_id": batch_id, "user_id": user, "essay_ids": essay_ids}
    return event


def checked(batch_id, essay_id):
    """A result of a spell check."""
    event = fixture("spellcheck_result.success", "huleedu.essay.spellcheck.results.v1")
    event["value"]["data"] |= {"entity_id": essay_id, "batch_id": batch_id}
    return event


class User:
    """A user with one batch of one essay."""

    def __init__(self, service):
        self.service, self.id = service, str(uuid.uuid4())
        self.batches = []
        self.register()

    def register(self):
        batch, essay = str(uuid.uuid4()), str(uuid.uuid4())
        self.batches.append((batch, essay))
        commit(self.service, registered(batch, self.id, [essay]))


@pytest.fixture
def user(shared):
    return User(shared)


def list_calls(service):
    return statement_calls(service, "FROM tagged_list($1::text")


def test_a_list_is_cached_for_each_page_and_filter(shared, program, other, user):
    for query in ("", "?limit=5", "?status=pending_content"):
        first = listed(program, user.id, query)
        calls = list_calls(shared)
        assert listed(program, user.id, query) == first == {user.batches[0][0]: []}
        assert list_calls(shared) == calls, query
        wait_until("the list in Redis", lambda query=query: listed(other, user.id, query) == first
                   and cell(other, "ras_cache_hits_total", cache_type="user_batches") > 0)


def test_what_touches_a_list_drops_it_in_every_process(shared, program, other, user):
    queries = ["", "?limit=1", "?status=pending_content,processing"]
    batch, essay = user.batches[0]

    def check(filenames):
        for query in queries:
            for asked in (program, other):
                wait_until(f"{filenames} in {query}", lambda asked=asked, query=query: listed(
                    asked, user.id, query) == {batch: filenames})

    check([])
    commit(shared, slot_event(batch, essay, "a.txt", 1))
    check(["a.txt"])
    # this event does not name the batch: the list depends on the essay, too
    commit(shared, slot_event("guest-pending", essay, "b.txt", 2))
    check(["b.txt"])


def totals(program, user, query):
    return json.loads(program.get(list_path(user.id, query), HEADERS)[1])["pagination"]["total"]


def test_a_registration_and_a_change_of_status_drop_lists(shared, program, other, user):
    batch, essay = user.batches[0]
    queries = {"": (1, 2, 2), "?offset=10": (1, 2, 2), "?status=pending_content": (1, 2, 1),
               "?status=processing": (0, 0, 1), "?status=processing&offset=5": (0, 0, 1)}

    def check(moment):
        for asked in (program, other):
            for query, wanted in queries.items():
                wait_until(f"{query} at {moment}", lambda asked=asked, query=query, wanted=wanted:
                           totals(asked, user, query) == wanted[moment])

    check(0)
    user.register()
    check(1)
    commit(shared, checked(batch, essay))
    check(2)


def test_what_concerns_another_user_drops_no_list(shared, program, user):
    stranger = User(shared)
    listed(program, user.id)
    calls = list_calls(shared)
    commit(shared, slot_event(*stranger.batches[0], "a.txt"))
    stranger.register()
    listed(program, user.id)
    assert list_calls(shared) == calls


def test_a_list_of_an_unknown_user_is_dropped_by_the_first_registration(shared, program):
    unknown = User.__new__(User)
    unknown.service, unknown.id, unknown.batches = shared, str(uuid.uuid4()), []
    assert listed(program, unknown.id) == {}
    unknown.register()
    wait_until("its batch", lambda: list(listed(program, unknown.id)) == [unknown.batches[0][0]])


def test_a_cached_list_speaks_the_words_of_its_caller(program, user):
    words = {}
    for caller in ("admin-dashboard-service", "api-gateway-service", "admin-dashboard-service"):
        body = program.get(list_path(user.id), HEADERS | {"X-Service-ID": caller})[1]
        words.setdefault(caller, set()).add(json.loads(body)["batches"][0]["overall_status"])
    assert words == {"admin-dashboard-service": {"pending_content"},
                     "api-gateway-service": {"awaiting_content_validation"}}


def test_a_list_beyond_what_names_it_is_dropped_by_any_commit(shared, program, user):
    """A filter over many batches depends on the status of each of them."""
    shared.query("INSERT INTO batch_results (batch_id, registration_at, registration_event_id, user_id, "
                 "essay_count, essay_ids, first_release) SELECT %s || '-' || n, '2025-06-27', "
                 "gen_random_uuid(), %s, 1, '{}', false FROM generate_series(1, 1000) n",
                 user.id, user.id)
    query = "?status=pending_content"
    wait_until("the statuses", lambda: program.get(list_path(user.id, query), HEADERS)[0] == 200)
    calls = list_calls(shared)
    assert totals(program, user, query) == 1001
    assert list_calls(shared) == calls
    touch(shared, "another")
    wait_until("a new one", lambda: totals(program, user, query) == 1001 and list_calls(shared) > calls)
    assert list_calls(shared) == calls + 1


def test_a_stream_of_a_list_tells_of_its_changes(shared, other, user, open_stream):
    stream = open_stream(other, list_path(user.id, "/events?limit=1&answer=true"))
    batch, essay = user.batches[0]

    def shown(event):
        return {batch["batch_id"]: [essay["filename"] for essay in batch["essays"]]
                for batch in event["data"]["answer"]["batches"]}

    assert shown(stream.wait_events(1)[0]) == {batch: []}
    commit(shared, slot_event(batch, essay, "a.txt", 1))
    assert shown(stream.wait_events(2)[1]) == {batch: ["a.txt"]}
    user.register()
    assert stream.wait_events(3)[2]["data"]["answer"]["pagination"]["total"] == 2
