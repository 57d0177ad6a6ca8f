"""The console in the browser: sessions, by HTTP. test_console_pages.py has its pages in a Chromium."""
import contextlib
import http.client
import json

import pytest
from harness import log_lines
from stack import free_port, wait_until

# One program: its start takes longer than the tests.
pytestmark = pytest.mark.xdist_group("sessions")
KEY = "console-key-of-thirty-two-bytes!"


class Console:
    """A program with a console, and requests to it as a browser sends them."""

    def __init__(self, service):
        self.service, self.port = service, free_port()
        service.start(ADMIN_API_KEY=KEY, ADMIN_PORT=str(self.port))
        service.wait_ready()
        self.origin = f"http://127.0.0.1:{self.port}"

    def ask(self, method, path, headers=None):
        """(status, headers, body); JSON where it is some."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            body = answer.read()
            is_json = answer.getheader("Content-Type") == "application/json"
            return answer.status, answer.headers, json.loads(body) if is_json and body else body
        finally:
            connection.close()

    def sign_in(self, key=KEY, **headers):
        return self.ask("POST", "/console/session", {
            "Authorization": f"Bearer {key}", "Origin": self.origin} | headers)

    def cookie(self):
        return self.sign_in()[1]["Set-Cookie"].split(";")[0]


@pytest.fixture(scope="module")
def console(make_service):
    with contextlib.ExitStack() as cleanup:
        yield Console(make_service(cleanup))


def test_the_cookie_of_a_session_is_out_of_reach(console):
    status, headers, said = console.sign_in()
    name, *flags = headers["Set-Cookie"].split("; ")
    assert status == 200 and said == {"ends_in_s": 43200, "idle_limit_s": 1800}
    assert name.startswith(f"aggregator_console_{console.port}=") and len(name.split("=")[1]) == 64
    assert flags == ["Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=43200"]
    assert KEY not in str(headers) and headers["Cache-Control"] == "no-store"


def test_the_cookie_is_for_tls_alone_where_the_browser_speaks_tls(console):
    origin = f"https://127.0.0.1:{console.port}"
    assert console.sign_in(Origin=origin)[1]["Set-Cookie"].endswith("; Secure")


def test_a_session_admits_to_the_verbs_until_it_is_closed(console):
    cookie = console.cookie()
    assert console.ask("GET", "/admin/status")[0] == 401
    assert console.ask("GET", "/admin/status", {"Cookie": f"{cookie[:-1]}!"})[0] == 401
    status, _, said = console.ask("GET", "/admin/status", {"Cookie": f"a=b; {cookie}; c=d"})
    assert status == 200 and said["ready"] is True
    assert console.ask("GET", "/console/session", {"Cookie": cookie})[2]["ends_in_s"] > 43000
    status, headers, said = console.ask("DELETE", "/console/session",
                                        {"Cookie": cookie, "Origin": console.origin})
    assert status == 200 and said["ends_in_s"] == 0 and "Max-Age=0" in headers["Set-Cookie"]
    assert console.ask("GET", "/admin/status", {"Cookie": cookie})[0] == 401
    assert console.ask("GET", "/console/session", {"Cookie": cookie})[2]["ends_in_s"] == 0


def test_a_new_sign_in_ends_the_session_that_its_browser_had(console):
    before = console.cookie()
    status, headers, _ = console.sign_in(Cookie=before)
    assert status == 200 and headers["Set-Cookie"].split(";")[0] != before
    assert console.ask("GET", "/admin/status", {"Cookie": before})[0] == 401


@pytest.mark.parametrize("headers, status", [
    ({"Sec-Fetch-Site": "same-origin"}, 200),
    ({"Origin": "own"}, 200),
    ({}, 403),
    ({"Sec-Fetch-Site": "same-site", "Origin": "own"}, 403),  # another port of the host
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "none"}, 403),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "http://127.0.0.1"}, 403),
    ({"Origin": "ftp://own"}, 403),
    ({"Origin": "://own"}, 403),
    ({"Origin": "null"}, 403)])
def test_a_forged_request_changes_nothing(console, headers, status):
    host = console.origin.removeprefix("http://")
    headers = {name: value.replace("//own", f"//{host}") if value != "own" else console.origin
               for name, value in headers.items()}
    assert console.ask("POST", "/admin/resume", headers | {"Cookie": console.cookie()})[0] == status
    if status != 200:
        assert console.ask("DELETE", "/console/session", headers)[0] == status
        assert console.ask("POST", "/console/session",
                           headers | {"Authorization": f"Bearer {KEY}"})[0] == status


def test_a_forged_read_starts_no_work(console):
    for site, status in (("same-origin", 200), ("none", 200), ("same-site", 403),
                         ("cross-site", 403)):
        assert console.ask("GET", "/admin/status", {
            "Cookie": console.cookie(), "Sec-Fetch-Site": site})[0] == status


def test_a_read_may_come_without_its_origin(console):
    """Over plain HTTP browsers send neither header with it."""
    assert console.ask("GET", "/admin/status", {"Cookie": console.cookie()})[0] == 200


def test_a_shadow_run_is_begun_by_no_read(console):
    """Of a read nothing says which page it comes from."""
    for method in ("GET", "HEAD"):
        for headers in ({"Cookie": console.cookie()}, {"Authorization": f"Bearer {KEY}"}):
            status, answered, _ = console.ask(method, "/admin/diff", headers)
            assert status == 405 and answered["Allow"] == "POST"


def test_a_key_needs_no_origin(console):
    """The API of scripts stays as it is."""
    assert console.ask("POST", "/admin/resume", {"Authorization": f"Bearer {KEY}"})[0] == 200


def test_every_response_forbids_what_the_console_does_not_do(console):
    for path in ("/", "/console", "/console/app.js", "/admin/status", "/console/nothing"):
        headers = console.ask("GET", path)[1]
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "frame-ancestors 'none'; base-uri 'none'" in policy and "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_files_are_revalidated_and_take_no_other_method(console):
    status, headers, _ = console.ask("GET", "/console/app.js")
    assert status == 200 and headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert console.ask("GET", "/console/app.js", {"If-None-Match": headers["ETag"]})[0] == 304
    assert console.ask("POST", "/console/app.js")[0] == 405
    assert console.ask("PUT", "/console/session", {"Origin": console.origin})[0] == 405


def test_a_session_is_logged_without_its_secrets(console):
    cookie = console.cookie()
    assert log_lines(console.service.program, "console session opened")
    log = console.service.program.log.read_text()
    assert KEY not in log and cookie.split("=")[1] not in log


def test_failed_sign_ins_are_limited(console):
    """The last test: no sign-in succeeds for a while. spec/c/test_sessions.c has the times."""
    assert [console.sign_in(key=f"wrong{n}")[0] for n in range(9)] == [401] * 9
    _, headers, said = wait_until("a refusal", lambda: (
        lambda answer: answer[0] == 429 and answer[1]["Retry-After"] != "1" and answer)(
            console.sign_in(key="wrong")))
    assert 1 < int(headers["Retry-After"]) <= 6 and "Too many" in said["error"]
    assert console.ask("GET", "/admin/status", {"Authorization": f"Bearer {KEY}"})[0] == 200
