"""Routes of scripts: declared queries, headers and bodies, and the framing of bodies."""
import gzip
import json
import shutil
import socket
import time

import http_client
import pytest
from http_client import KEYS
from stack import ROOT, wait_until

ORDER = """
local json = require("json")
local metrics = require("metrics")
local calls = metrics.counter("order_calls_total", "Calls.", {})
return {
  method = "POST", path = "/orders/{shop}", auth = true,
  query = { limit = { type = "integer", optional = true, min = 1, max = 100 },
            dry = { "dry_run", type = "boolean", optional = true } },
  headers = { key = { "Idempotency-Key", optional = true, max = 40 },
              tags = { "X-Tag", optional = true } },
  body = { max_bytes = 100000, fields = {
    name = "customer.name", note = { "note", optional = true },
    count = { "count", type = "integer", min = 1, max = 9 },
    items = { "items", type = "list", optional = true, fields = { sku = "sku" } },
  } },
  handle = function(request)
    calls:add(1)
    local skus = json.array({})
    for i, item in ipairs(request.body.items or {}) do skus[i] = item.sku end
    return { status = 200, body = json.encode({
      shop = request.params.shop, method = request.method, name = request.body.name,
      count = request.body.count, note_bytes = #(request.body.note or ""), skus = skus,
      limit = request.query.limit, dry = request.query.dry,
      key = request.headers.key, tags = request.headers.tags }) }
  end,
}
"""
TEXT = """
return {
  method = "PUT", path = "/texts", auth = false,
  body = { content_type = "text/plain", max_bytes = 1000000 },
  handle = function(request)
    return { status = 200, body = '{"bytes":' .. #request.body .. "}" }
  end,
}
"""
PLAIN = """
return { method = "DELETE", path = "/orders/{shop}", auth = true,
         handle = function() return { status = 204, body = "" } end }
"""
CREATED = """
return {
  method = "POST", path = "/created/{id}", auth = true,
  handle = function(request)
    if request.params.id == "0" then
      return { status = 409, error = "Already \\"there\\"", type = "https://errors.test/there",
               headers = { ["Retry-After"] = "7" } }
    end
    return { status = 201, body = "<p>made</p>", headers = {
      Location = "/created/" .. request.params.id, ["content-type"] = "text/html; charset=utf-8",
      ["Cache-Control"] = "private, max-age=5", ["X-Long"] = ("x"):rep(6000) } }
  end,
}
"""
FAULTY = """
return { path = "/faulty/{how}", auth = false, handle = function(request)
  local body = '{"error":"bad","code":"E1","title":"lost","fields":["a",{"b":1}],"n":null}'
  if request.params.how == "typed" then
    return { status = 422, headers = { ["Content-Type"] = "application/vnd.x+json" }, body = body }
  end
  return { status = 422, headers = { ["Cache-Control"] = "max-age=5" }, body = body }
end }
"""
LIMITED = """
return { path = "/limited", auth = true, rate_limit = { requests = 1, per_s = 3600, burst = 3 },
         handle = function() return { status = 200, body = "{}" } end }
"""
LIST = """
return { path = "/list/{n}", auth = false, handle = function(request)
  return { status = 200, body = '["' .. ("essay "):rep(tonumber(request.params.n)) .. '"]' } end }
"""
CACHED = """
return { path = "/cached/{n}", auth = false, cache = { key = "cached:{n}" },
  handle = function(request) return { status = 200, tags = {},
    body = '["' .. ("essay "):rep(tonumber(request.params.n)) .. '"]' } end }
"""
BODY = {"customer": {"name": "Åsa"}, "count": 2, "items": [{"sku": "a"}, {"sku": "b"}]}
ORDERS = "/orders/7"
JSON = b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def program():
    with http_client.servers() as world:
        scripts = world.folder / "scripts"
        shutil.copytree(ROOT / "scripts", scripts)
        named = ORDER.replace("/orders/", "/named/")
        for name, text in {"order": ORDER, "named": named, "text": TEXT, "plain": PLAIN, "created": CREATED, "faulty": FAULTY,
                           "limited": LIMITED, "list": LIST, "cached": CACHED}.items():
            (scripts / f"routes/{name}.lua").write_text(text)
        started = world.start(env={"SCRIPTS_ROOT": str(scripts)},
                              edits=[("request_timeout_ms = 10000", "request_timeout_ms = 1500")])
        yield started.wait_ready()
        assert started.stop() == 0
        log = started.log.read_text()
        assert "Sanitizer" not in log and "runtime error" not in log


def head(body, path=ORDERS, method="POST", keys=KEYS, more=JSON, length=None):
    length = b"" if length is False else b"Content-Length: %d\r\n" % (
        len(body) if length is None else length)
    return b"%s %s HTTP/1.1\r\nHost: h\r\n%s%s%s\r\n" % (method.encode(), path.encode(), keys, more,
                                                      length)


def post(program, body, **options):
    """One request with a body on a connection of its own, which it leaves open or not."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with program.client() as client:
        return client.send(head(data, **options) + data).answer()


def calls(program):
    return program.samples().get("order_calls_total", 0)


# ---- queries and headers --------------------------------------------------------------------

def test_a_post_route_reads_its_parts(program):
    answer = post(program, BODY, path=ORDERS + "?limit=5&dry_run=true",
                  more=JSON + b"idempotency-key: k-1\r\nX-Tag: a\r\nx-tag: b\r\n")
    assert answer.status == 200, answer.body
    assert answer.json() == {
        "shop": "7", "method": "POST", "name": "Åsa", "count": 2, "note_bytes": 0,
        "skus": ["a", "b"], "limit": 5, "dry": True, "key": "k-1", "tags": "a, b"}
    assert answer.header("ETag") is None and answer.header("Cache-Control") == "no-store"


@pytest.mark.parametrize("query, error", [
    ("lmit=5", 'Unknown query parameter "lmit": did you mean "limit"?'),
    ("limit=5&other=1", 'Unknown query parameter "other"'),
    ("limit=x", 'limit is "x": it takes a whole number from 1 to 100'),
    ("limit=", 'limit is "": it takes a whole number from 1 to 100'),
    ("limit=101", "limit is 101: it takes a whole number from 1 to 100"),
    ("limit=%201", "it takes a whole number"), ("limit=1.5", "not a whole number"),
    ("dry_run=yes", 'dry_run is "yes": it takes true or false'), ("dry=true", "dry_run")])
def test_a_query_that_the_route_does_not_declare_is_refused(program, query, error):
    answer = post(program, BODY, path=f"{ORDERS}?{query}")
    assert answer.status == 400 and error in answer.json()["error"], answer.body


@pytest.mark.parametrize("value, error", [
    (b"x" * 41, "Idempotency-Key is 41 bytes long: it takes a string of at most 40 bytes"),
    (b"\xff", "Idempotency-Key is not UTF-8")])
def test_a_header_that_the_route_does_not_allow_is_refused(program, value, error):
    answer = post(program, BODY, more=JSON + b"Idempotency-Key: " + value + b"\r\n")
    assert answer.status == 400 and error in answer.json()["error"], answer.body


# ---- bodies ---------------------------------------------------------------------------------

@pytest.mark.parametrize("body, error", [
    (b"", "Invalid body"), (b"{", "Invalid body"), (b"[]", "not a JSON object"),
    (b'{"customer":{"name":"\xff"}}', "not UTF-8"), (b"{} {}", "Invalid body"),
    ({"customer": {}, "count": 1}, "customer.name is missing"),
    ({"customer": {"name": "a"}, "count": 10}, "count is 10: it takes a whole number from 1 to 9"),
    ({"customer": {"name": "a"}, "count": "1"}, "count is a string"),
    ({"customer": {"name": "a"}, "count": 1, "items": [{"sku": 1}]}, "items[0]: sku is a number")])
def test_a_body_that_the_route_does_not_declare_is_refused(program, body, error):
    before = calls(program)
    answer = post(program, body)
    assert answer.status == 400 and error in answer.json()["error"], answer.body
    assert calls(program) == before


@pytest.mark.parametrize("change, name", [
    ({"note_": "a"}, 'Unknown field "note_": did you mean "note"?'),
    ({"customer": {"name": "a", "nam": 1}}, 'Unknown field "customer.nam"'),
    ({"items": [{"sku": "a"}, {"sku": "b", "sk": 1}]}, 'Unknown field "sk" of an item of items'),
    ({"x" * 600: 1}, "Unknown field"), ({"note\0": 1}, "Unknown field"),
    ({"customer.name": "a"}, "no name has a dot")])
def test_a_member_that_no_field_declares_is_refused(program, change, name):
    answer = post(program, BODY | change)
    assert answer.status == 400 and name in answer.json()["error"], answer.body


def test_a_body_without_bytes_and_type_lacks_its_fields(program):
    answer = post(program, b"", more=b"")
    assert answer.status == 400 and "it is empty" in answer.json()["error"]


@pytest.mark.parametrize("path, body", [
    (ORDERS + "?lmit=5", BODY), (ORDERS + "?limit=0", BODY), (ORDERS, BODY | {"count": 0})])
def test_a_refusal_by_the_declaration_keeps_the_connection(program, path, body):
    data = json.dumps(body).encode()
    with program.client() as client:
        assert client.send(head(data, path=path) + data).answer().status == 400
        good = json.dumps(BODY).encode()
        assert client.send(head(good) + good).answer().status == 200


def test_the_log_names_the_field_that_did_not_fit(program):
    # An endpoint of its own: of each, ten errors in ten seconds are logged.
    post(program, BODY | {"count": 77}, path="/named/7")
    post(program, BODY, path="/named/7?limit=1000")
    log = program.log.read_text()
    assert '"error":"body count"' in log and '"error":"query limit"' in log


@pytest.mark.parametrize("options, status, error", [
    ({"more": b""}, 415, "Content-Type must be application/json"),
    ({"more": b"Content-Type: text/plain\r\n"}, 415, "application/json"),
    ({"more": JSON + JSON}, 415, "application/json"),
    ({"more": JSON + b"Content-Encoding: gzip\r\n"}, 415, "Content-Encoding"),
    ({"length": False}, 411, "Content-Length"), ({"length": 100001}, 413, "100000 bytes"),
    ({"length": 1 << 70}, 413, "100000 bytes"),
    ({"keys": b""}, 401, "Missing"), ({"path": "/orders/7/8"}, 404, "Not found"),
    ({"path": "/healthz"}, 405, "Method not allowed"), ({"method": "DELETE"}, 413, "not accepted"),
    ({"length": False, "more": JSON + b"Transfer-Encoding: chunked\r\n"}, 411, "Content-Length"),
    ({"more": JSON + b"Transfer-Encoding: chunked\r\n"}, 400, "Transfer-Encoding"),
    ({"length": False, "more": JSON + b"Transfer-Encoding: gzip, chunked\r\n"}, 501, "Transfer"),
    ({"more": JSON + b"Content-Length: 3\r\n"}, 400, "repeated"),
    ({"more": JSON + b"Expect: 200-maybe\r\n"}, 417, "expectation")])
def test_a_refused_body_is_not_read_and_ends_the_connection(program, options, status, error):
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
    before = calls(program)
    with program.client() as client:
        answer = client.send(head(smuggled, **options) + smuggled).answer()
        assert answer.status == status and error in answer.json()["error"], answer.body
        assert answer.header("Connection") == "close" and client.closed()
    assert calls(program) == before


@pytest.mark.parametrize("type_", [b"Application/JSON; charset=utf-8", b"application/json ;x=y"])
def test_the_media_type_may_have_parameters(program, type_):
    assert post(program, BODY, more=b"Content-Type: " + type_ + b"\r\n").status == 200


def test_405_names_the_methods_of_the_path(program):
    answer = program.ask(ORDERS)
    assert answer.status == 405 and answer.header("Allow") == "POST, DELETE"


def test_a_method_without_a_declared_body_takes_none(program):
    assert program.ask(ORDERS, method="DELETE").status == 204
    assert post(program, b"", method="DELETE").status == 204


def test_requests_after_a_body_are_served_in_order(program):
    data = json.dumps(BODY | {"count": 3}).encode()
    get = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
    with program.client() as client:
        client.send(head(data) + data + get + head(data, path="/orders/8") + data + get)
        answers = [client.answer() for _ in range(4)]
    assert [answer.status for answer in answers] == [200] * 4
    assert answers[0].json()["shop"] == "7" and answers[2].json()["shop"] == "8"
    assert answers[1].json()["status"] == answers[3].json()["status"] == "healthy"


def test_a_body_may_arrive_byte_by_byte(program):
    data = json.dumps(BODY).encode()
    with program.client() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head(data) + data:
            client.send(bytes([byte]))
        assert client.answer().json()["name"] == "Åsa"


@pytest.mark.parametrize("size", [1, 16384, 65537, 1000000])
def test_a_body_as_long_as_allowed_arrives_whole(program, size):
    answer = post(program, b"x" * size, path="/texts", method="PUT", keys=b"",
                  more=b"Content-Type: text/plain\r\n")
    assert answer.status == 200 and answer.json() == {"bytes": size}


def test_a_client_that_expects_100_gets_it_before_its_body(program):
    data = json.dumps(BODY).encode()
    with program.client() as client:
        client.send(head(data, more=JSON + b"Expect: 100-continue\r\n"))
        interim = client.answer()
        assert interim.status == 100 and interim.headers == []
        assert client.send(data).answer().status == 200
        client.send(head(data, more=JSON + b"Expect: 100-continue\r\n", length=100001))
        assert client.answer().status == 413 and client.closed()


def test_a_client_that_sent_its_body_is_not_told_to_continue(program):
    assert post(program, BODY, more=JSON + b"Expect: 100-continue\r\n").status == 200


def test_a_body_that_trickles_in_is_ended_in_time(program):
    data = json.dumps(BODY).encode()
    before = calls(program)
    with program.client() as client:
        began = time.monotonic()
        client.send(head(data) + data[:-1])
        answer = client.answer()
        assert answer.status == 408 and time.monotonic() - began > 1 and client.closed()
    assert calls(program) == before
    assert program.samples()[
        'ras_api_requests_total{endpoint="routes/order",method="POST",status_code="408"}'] == 1


def test_a_client_that_leaves_within_its_body_leaves_nothing(program):
    data = json.dumps(BODY).encode()
    before = calls(program)
    with program.client() as client:
        client.send(head(data) + data[:-1])
    with program.client() as client:
        client.send(head(data) + data[:-1]).end()
        assert client.closed()
    wait_until("the end of the connections",
               lambda: program.samples()["ras_http_connections"] <= 1)
    assert calls(program) == before


def test_a_request_is_carried_out_once(program):
    before = calls(program)
    assert [post(program, BODY).status for _ in range(5)] == [200] * 5
    assert calls(program) == before + 5


def test_what_a_request_holds_reaches_no_log(program):
    post(program, BODY | {"count": "secret-body"}, path=ORDERS + "?limit=secret-query",
         more=JSON + b"Cookie: secret-cookie\r\nAuthorization: secret-token\r\n"
                     b"Idempotency-Key: secret-key" + b"x" * 60 + b"\r\n")
    post(program, BODY | {"count": "secret-body"})
    assert "secret-" not in program.log.read_text()


# ---- headers of responses, problem documents, rate limits -------------------------------------

def test_a_route_sets_headers(program):
    with program.client() as client:
        for _ in range(2):  # the second shows where the first ended
            answer = client.request("/created/5", "POST", KEYS).answer()
            assert answer.status == 201 and answer.body == b"<p>made</p>"
            assert answer.header("Location") == "/created/5"
            assert answer.header("Content-Type") == "text/html; charset=utf-8"
            assert answer.header("Cache-Control") == "private, max-age=5"
            assert answer.header("X-Long") == "x" * 6000
            assert answer.header("Content-Length") == "11"


PROBLEM = b"Accept: text/html, application/problem+json;q=0.5\r\n"


def test_an_error_is_as_the_platform_has_it(program):
    answer = program.ask("/created/0", "POST")
    assert answer.status == 409 and answer.header("Content-Type") == "application/json"
    assert answer.header("Retry-After") == "7"
    assert answer.json() == {"error": 'Already "there"', "type": "https://errors.test/there"}


def test_a_client_that_accepts_problem_documents_gets_them(program):
    answer = program.ask("/created/0", "POST", KEYS + PROBLEM)
    assert answer.status == 409 and answer.header("Content-Type") == "application/problem+json"
    assert answer.json() == {
        "type": "https://errors.test/there", "title": "Conflict", "status": 409,
        "detail": 'Already "there"', "instance": "/created/0", "error": 'Already "there"'}


@pytest.mark.parametrize("path, headers, status", [
    ("/batches/none/status", KEYS, 404), ("/batches/none/status", KEYS, 404), ("/none", b"", 404),
    ("/orders/7", KEYS, 405), (ORDERS, b"Content-Length: 5\r\n", 405),
    ("/batches/none/status", b"", 401), ("/batches/user/x?limit=0", KEYS, 404),
    ("/internal/v1/batches/user/x?limit=0", KEYS, 400)])
def test_every_error_can_be_a_problem_document(program, path, headers, status):
    plain = program.ask(path, "GET", headers)
    answer = program.ask(path, "GET", headers + PROBLEM)
    assert plain.status == answer.status == status
    assert plain.header("Content-Type") == "application/json"
    problem = answer.json()
    assert answer.header("Content-Type") == "application/problem+json"
    assert problem["detail"] == problem["error"] == plain.json()["error"]
    assert problem["status"] == status and problem["type"] == "about:blank"
    assert problem["instance"] == path.split("?")[0]


def test_a_problem_document_keeps_the_further_members_of_an_error(program):
    plain, answer = (program.ask("/faulty/kept", headers=more) for more in (b"", PROBLEM))
    assert answer.json() == {
        "type": "about:blank", "title": "Unprocessable Content", "status": 422, "detail": "bad",
        "instance": "/faulty/kept", "error": "bad", "code": "E1", "fields": ["a", {"b": 1}],
        "n": None}
    assert plain.header("Vary") == answer.header("Vary") == "Accept"


def test_an_error_with_a_type_of_its_own_is_no_problem_document(program):
    plain, answer = (program.ask("/faulty/typed", headers=more) for more in (b"", PROBLEM))
    assert answer.header("Content-Type") == "application/vnd.x+json"
    assert plain.body == answer.body and answer.json()["code"] == "E1"


@pytest.mark.parametrize("accept", [b"*/*", b"application/*", b"application/problem+json;q=0",
                                    b"application/problem+json;q=x"])
def test_other_clients_get_the_platforms_error(program, accept):
    answer = program.ask("/none", headers=b"Accept: " + accept + b"\r\n")
    assert answer.json() == {"error": "Not found"}


def test_above_its_rate_limit_a_service_gets_429_and_others_do_not(program):
    def ask(service):
        return program.ask("/limited", headers=b"X-Internal-API-Key: test-key\r\nX-Service-ID: "
                           + service + b"\r\n")
    assert [ask(b"admin-dashboard-service").status for _ in range(5)] == [200] * 3 + [429] * 2
    refused = ask(b"admin-dashboard-service")
    assert 3500 < int(refused.header("Retry-After")) <= 3600
    assert refused.json() == {"error": "Too many requests"}
    assert ask(b"api-gateway-service").status == 200
    assert ask(b"unknown-service").status == 401
    samples = program.samples()
    assert samples['ras_api_rate_limited_total{endpoint="routes/limited",'
                   'service="admin-dashboard-service"}'] == 3
    assert samples['ras_api_requests_total{endpoint="routes/limited",method="GET",'
                   'status_code="429"}'] == 3
    wait_until("the line", lambda: "above `rate_limit` of the route, service admin-dashboard-service"
               in program.log.read_text())


# ---- compression ------------------------------------------------------------------------------

GZIP = b"Accept-Encoding: br, gzip;q=0.5\r\n"


@pytest.mark.parametrize("path", ["/list/1000", "/cached/1000"])
def test_a_long_response_is_compressed_for_a_client_that_accepts_it(program, path):
    plain = program.ask(path)
    assert plain.header("Content-Encoding") is None and plain.header("Vary") == "Accept-Encoding"
    for _ in range(3):  # computed, compressed, both kept
        with program.client() as client:
            answer = client.request(path, "GET", GZIP).answer()
            assert answer.header("Content-Encoding") == "gzip"
            assert len(answer.body) < len(plain.body) / 10
            assert gzip.decompress(answer.body) == plain.body
            assert answer.header("ETag") == "W/" + plain.header("ETag")
            assert answer.header("Vary") == "Accept-Encoding"
            head = client.request(path, "HEAD", GZIP).answer("HEAD")
            assert head.header("Content-Length") == str(len(answer.body))
            for tag in (answer.header("ETag"), plain.header("ETag")):
                same = client.request(path, "GET", GZIP + b"If-None-Match: " + tag.encode() +
                                      b"\r\n").answer()
                assert same.status == 304 and same.header("ETag") == answer.header("ETag")
    assert program.ask(path).body == plain.body


@pytest.mark.parametrize("path, headers", [
    ("/cached/100", GZIP), ("/cached/1000", b"Accept-Encoding: gzip;q=0\r\n"),
    ("/cached/1000", b"Accept-Encoding: *\r\n"), ("/cached/1000", b"Accept-Encoding: \r\n"),
    ("/cached/1000", GZIP + GZIP), ("/cached/x", GZIP)])
def test_other_responses_are_not_compressed(program, path, headers):
    answer = program.ask(path, headers=headers)
    assert answer.header("Content-Encoding") is None
    assert len(answer.body) == int(answer.header("Content-Length"))
