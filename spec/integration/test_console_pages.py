"""The console's pages in a Chromium, against a running program. test_console_lists.py has the lists."""
import http.server
import json
import signal
import threading
import time
import urllib.error
import urllib.request

import certificates
import pytest
from console_pages import KEY, KEY_OF_LETTERS
from harness import log_lines, read_records
from selenium.webdriver.common.keys import Keys
from stack import wait_until

PAGES = {"overview": "Overview", "partitions": "Partitions", "scripts": "Scripts",
         "rejected": "Rejected events", "explain": "Explain", "live": "Live events",
         "outbox": "Outbox", "warnings": "Warnings"}
# One browser and one program: their start takes longer than most tests.
pytestmark = pytest.mark.xdist_group("console")


def test_a_wrong_key_is_refused_and_the_right_one_by_keyboard(pages):
    chromium = pages.browser
    chromium.driver.get(f"{chromium.origin}/")
    chromium.wait("#key")
    assert chromium.focused().get_attribute("id") == "key"
    chromium.keys("wrong", Keys.ENTER)
    assert "none of the administration's keys" in chromium.wait("[role=alert]", "none").text
    chromium.keys("ключ", Keys.ENTER)  # the wrong one is selected
    assert "admin.keys" in chromium.wait("[role=alert]", "check the keyboard's layout").text
    chromium.keys(KEY, Keys.ENTER)
    chromium.wait("h1", "Overview")
    assert KEY not in chromium.driver.page_source
    chromium.click(".tools button", "Sign out")
    chromium.wait("#key")
    assert chromium.driver.get_cookies() == []


def test_a_key_of_any_letters_signs_in(pages):
    chromium = pages.browser
    chromium.sign_in(KEY_OF_LETTERS)
    chromium.wait("h1", "Overview")
    chromium.click(".tools button", "Sign out")
    chromium.wait("#key")


@pytest.mark.parametrize("width", [360, 1600])
def test_each_page_fits_and_keeps_the_policy(browser, width):
    browser.size(width)
    for scheme in ("light", "dark"):
        browser.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
        for page, title in PAGES.items():
            browser.open(page)
            browser.wait("h1", title)
            browser.wait_gone(".empty[role=status]")  # it has loaded
            assert browser.overflow() <= 0, (page, width)
            assert not browser.find(".notice.bad"), page
            assert browser.driver.title == f"{title} · aggregator"
    browser.prefer()


def test_text_has_contrast(browser):
    """Of the colours that the pages combine, at least 4.5 (WCAG 2.2, 1.4.3)."""
    measure = """
      const [front, back] = arguments;
      const probe = document.createElement('p');
      document.body.append(probe);
      probe.style.color = `var(--${front})`;
      probe.style.backgroundColor = `var(--${back})`;
      const style = getComputedStyle(probe);
      const light = (text) => text.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
        .map((c) => (c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4))
        .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
      const [a, b] = [light(style.color), light(style.backgroundColor)];
      probe.remove();
      return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    """
    pairs = [(front, back) for back in ("ground", "panel", "raised")
             for front in ("text", "quiet", "accent", "bad", "good", "warn")]
    pairs += [(name, f"{name}-ground") for name in ("good", "warn", "bad", "accent")]
    for scheme in ("light", "dark"):
        browser.prefer(prefers_color_scheme=scheme)
        for front, back in [*pairs, ("on-accent", "accent")]:
            assert browser.run(measure, front, back) >= 4.5, (scheme, front, back)
    browser.prefer()


def test_the_overview_shows_figures_and_what_needs_a_look(browser):
    assert browser.wait(".hero", "Ready")
    names = [one.get_attribute("aria-label") for one in browser.find(".chart")]
    wait_until("figures", lambda: "–" not in browser.find(".chart")[0].text.split("\n")[1])
    assert [name.split(":")[0] for name in names] == [
        "Events", "Lag", "Requests", "Latency", "Cache hits", "Errors", "Outbox", "Commit"]
    assert browser.wait(".concerns li", "fewer than 16 bytes")
    browser.click(".segmented button", "1 h")
    assert browser.wait(".segmented [aria-pressed=true]", "1 h")


WELL = {"ready": True, "health": {"status": "healthy", "dependencies": {}}, "warnings": [],
        "generations": [{"generation": 2, "hash": "h", "since": "2026-01-01T00:00:00Z", "running": True}]}
WAIT = {"topic": "a.v1", "cause": "rejections", "reason": "11 of the last 11", "tries": 1,
        "since": "2026-01-01T00:00:00Z", "next_try": "2026-01-01T00:10:00Z"}
FAULTS = [
    ({}, None, []),
    ({"health": {"dependencies": {"database": {"status": "unhealthy", "reason": "cannot connect"}}}},
     "bad", ["database: cannot connect", "answered from the caches or with 503"]),
    ({"health": {"dependencies": {"kafka": {"status": "degraded", "waiting": [WAIT]}}}}, "bad",
     ["a.v1 waits after 1 try, next try at 00:10:00 UTC: 11 of the last 11", "Correct the handler"]),
    ({"health": {"scripts": {"stuck": [{"script": "handlers/x"}]}}}, "bad", ["handlers/x", "recover.md"]),
    ({"lag": {"seconds": [{"topic": "a.v1", "value": 61}], "records": [{"topic": "a.v1", "value": 5}]}},
     "warn", ["61 s behind a.v1: 5 records"]),
    ({"lag": {"seconds": [{"topic": "a.v1", "value": 901}], "records": []}}, "bad", ["15 min behind"]),
    ({"outbox": {"pending": 2, "oldest_pending_s": 121, "publishes": False}}, "bad",
     ["2 messages wait in the outbox, the oldest for 2 min", "Another process"]),
    ({"outbox": {"pending": 2, "oldest_pending_s": 100}}, None, []),
    ({"recent_problems": [{"message": "the scripts were not replaced", "error": "x.lua:1",
                           "time": "2026-01-01T00:00:01Z"}]}, "warn", ["refused", "x.lua:1"]),
    ({"recent_problems": [{"message": "the scripts were not replaced", "error": "x.lua:1",
                           "time": "2025-01-01T00:00:00Z"}]}, None, []),
    ({"recent_problems": [{"message": "the bake of the new scripts failed: rolling back", "reason": "why"}],
      "generations": [{"generation": 3}, {"generation": 2, "running": True}]}, "warn",
     ["rolled back: why"]),
    ({"certificates": [{"listener": "http", "days_left": 20, "names": "n"}]}, "warn", ["expires in 20 days"]),
    ({"certificates": [{"listener": "http", "days_left": 2, "names": "n"}]}, "bad", ["in 2 days"]),
    ({"certificates": [{"listener": "http", "days_left": -1, "names": "n"}]}, "bad", ["has expired"])]


def test_each_fault_is_a_concern_with_what_to_do(browser):
    for change, kind, texts in FAULTS:
        found = browser.wait_script(
            "return (await import('/console/concerns.js')).concerns(arguments[0], null)", WELL | change)
        assert [one["kind"] for one in found] == ([kind] if kind else []), change
        for text in texts:
            assert text in f"{found[0]['text']} {found[0].get('todo')}"


def test_rejected_events_and_failed_requests_of_the_figures_are_concerns(browser):
    def of(rejected, errors, requests):
        series = {"rejected_per_s": [0, None, rejected], "errors_per_s": [errors], "requests_per_s": [requests]}
        found = browser.wait_script(
            "return (await import('/console/concerns.js')).concerns(...arguments)", WELL,
            {"interval_s": 5, "series": series})
        return [(one["kind"], one["text"]) for one in found]

    assert of(0, 0, 9) == []
    assert of(.2, 0, 9) == [("warn", "1 event was rejected in the last hour")]
    assert of(0, 2, 9) == [("bad", "10 requests failed in the last five minutes (status 500 and above)")]
    assert of(0, .2, 9)[0][0] == "warn"


def test_an_update_leaves_the_focus_where_it_is(browser):
    """The overview is drawn every few seconds."""
    assert browser.wait_script("""
      const { h, update } = await import("/console/dom.js");
      const place = h("div", {});
      document.body.append(place);
      update(place, h("a", { href: "#/a" }, "one"), h("p", { class: "x" }, "1 s"));
      const link = place.querySelector("a");
      link.focus();
      update(place, h("a", { href: "#/b", title: "t" }, "two"), h("p", {}, "2 s"));
      const kept = document.activeElement === link;
      const html = place.innerHTML;
      place.remove();
      return [kept, html];""") == [True, '<a href="#/b" title="t">two</a><p>2 s</p>']


def test_without_redis_the_overview_says_so_first(browser, pages):
    pages.service.redis.stop()
    browser.size(360)

    def shown(text):
        browser.keys("r")
        return text in browser.wait(".hero").text
    wait_until("degradation", lambda: shown("redis is not healthy since"), interval_s=1)
    assert browser.wait(".hero", "Ready, degraded") and browser.wait("#state", "degraded")
    assert browser.overflow() <= 0
    concern = browser.wait(".concerns li", "redis: Redis cannot be connected to")
    assert "Everything works, slower" in concern.text and " · for " in concern.text
    assert concern.location["y"] < 500 < browser.find(".chart")[-1].location["y"]
    pages.service.redis.start()
    wait_until("health", lambda: shown("Serves requests and consumes events"), interval_s=1)


def test_partitions_open_by_topic(browser, pages):
    browser.open("partitions")
    topics = wait_until("topics", lambda: browser.find(".disclosure"))
    known = pages.service.query("SELECT count(DISTINCT topic) FROM aggregator_state.consumer_offsets")
    assert len(topics) == known[0][0]
    browser.click(".disclosure")
    assert browser.wait("tr.sub", "partition 0 · offset")
    assert browser.wait("td", "alive")


def test_scripts_are_compared_reloaded_and_rolled_back(browser, pages):
    handler = next((pages.folder / "scripts/handlers").glob("*.lua"))
    text = handler.read_text()
    handler.write_text(f"-- <b>another</b> line\n{text}")
    browser.open("scripts")
    browser.click("button", "Compare with what runs")
    assert browser.wait(".diff .added", "-- <b>another</b> line")
    assert browser.wait(".counts", "+1 −0") and not browser.find(".diff .removed")
    browser.click("button", "Reload…")
    browser.click("dialog button.primary")
    browser.wait(".notice.good", "Reload: done")
    browser.wait(".big", "2")
    browser.click("button", "Roll back to the one before…")
    assert "The files on the disk stay" in browser.wait("dialog").text
    browser.click("dialog button.danger")
    browser.wait(".notice.good", "Rollback: done")
    handler.write_text("return {")
    browser.click("button", "Reload…")
    browser.click("dialog button.primary")
    assert handler.name in browser.wait(".notice.bad", "refused, nothing was changed").text
    handler.write_text(text)
    browser.problems()  # the refusals, answered 409


def test_a_shadow_run_says_what_it_found(browser, pages):
    browser.open("scripts")
    browser.wait("#events").send_keys("50")
    browser.click("button", "Shadow run")
    wait_until("its result", lambda: browser.find(".notice.wide"))
    assert browser.wait(".notice.wide", "Shadow run: finished")


def test_an_id_is_explained(browser, pages):
    batch = pages.service.query("SELECT batch_id FROM batch_results LIMIT 1")[0][0]
    browser.open("explain")
    browser.wait("#id").send_keys(batch, Keys.ENTER)
    assert browser.wait("details.file", "batch_results")
    browser.open(f"explain?word=nosuch&id={batch}")
    browser.wait(".notice.bad", "no key column is called nosuch")
    browser.problems()  # the refusal, answered 400


def test_live_events_appear(browser, pages):
    browser.open("live")
    browser.click("button", "Start")
    browser.wait("[role=status]", "Reading")
    record = next(record for record in read_records("current") if "spellcheck" in record["topic"])

    def publish():
        pages.service.publish([record])
        return browser.find(".stream details")
    wait_until("an event", publish, interval_s=1)
    browser.click(".stream summary")
    assert record["value"]["event_id"] in browser.wait(".stream .block").text
    with browser.response_held("/admin/tap?") as wait_for_held:
        wait_for_held()
        browser.click("button", "Stop")
        browser.wait("[role=status]", "Stopped")
    assert browser.wait("[role=status]").text.startswith("Stopped")  # what came too late says nothing


class Foreign(http.server.BaseHTTPRequestHandler):
    """A page on another port of the same host: the browser sends it the console's cookie's host."""
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.page.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def foreign(pages):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Foreign) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_page_of_another_origin_can_do_nothing_by_the_session(browser, pages, foreign):
    target = pages.browser.origin
    foreign.page = f'''<iframe id="frame" src="{target}/console"></iframe><iframe name="sink"></iframe>
      <form id="form" method="post" target="sink" action="{target}/admin/resume"></form>'''
    cookie = browser.driver.get_cookies()[0]
    browser.driver.get(f"http://127.0.0.1:{foreign.server_address[1]}/")

    def lines(message):
        return log_lines(pages.service.program, message)
    refused, answered = len(lines("request refused")), len(lines("admin request answered"))
    browser.wait_script("""
      document.getElementById("form").submit();
      const target = arguments[0];
      for (const [method, path] of [["POST", "/admin/resume"], ["POST", "/admin/rollback"], ["GET", "/admin/status"]])
        await fetch(target + path, { method, mode: "no-cors", credentials: "include" });""", target)
    # The log is bounded in lines a second, so that not all four need to be there. 403, not 401: the
    # browser sent the cookie.
    (first, *_) = wait_until("a refusal", lambda: lines("request refused")[refused:])
    assert first["status"] == 403 and "console's own pages" in first["reason"]
    assert len(lines("admin request answered")) == answered
    assert browser.run("""try { return document.getElementById("frame").contentDocument?.body.innerHTML ?? null }
                          catch { return null }""") in (None, "")
    assert any("frame-ancestors" in line for line in browser.problems())
    browser.enter(KEY)
    assert browser.driver.get_cookies()[0]["value"] == cookie["value"]  # signed in all the while
    browser.problems()


def test_shortcuts_lead_everywhere_and_can_be_turned_off(browser):
    for key, title in zip("opsexlmw", PAGES.values()):
        browser.keys("g", key)
        browser.wait("h1", title)
    browser.keys("t")
    assert browser.run("return document.documentElement.dataset.theme") == "light"
    browser.keys("t", "t")
    browser.keys("?")
    browser.wait("dialog", "Keyboard shortcuts")
    for _ in range(4):  # the focus stays inside
        browser.keys(Keys.TAB)
        assert browser.run("const e = document.activeElement; return e === document.body || !!e.closest('dialog')")
    browser.click("#shortcuts")
    browser.keys(Keys.ESCAPE)
    browser.wait_gone("dialog")
    browser.keys("g", "o")
    assert browser.wait("h1", "Warnings")
    browser.run("localStorage.clear()")


def test_the_figures_grow_by_what_is_new(pages):
    """In this file, because the program has run for two samples already."""
    def ask(after):
        return urllib.request.urlopen(urllib.request.Request(
            f"{pages.browser.origin}/admin/figures?after={after}",
            headers={"Authorization": f"Bearer {KEY}"}))

    def figures(after=0):
        return json.load(ask(after))

    first = wait_until("two samples", lambda: (said := figures())["last"] > 1 and said)
    assert first["interval_s"] == 5 and time.strptime(first["at"][:19], "%Y-%m-%dT%H:%M:%S")
    assert len(first["series"]["events_per_s"]) == first["last"]
    assert first["series"]["request_p99_s"] == [None] * first["last"]  # no request of the API yet
    newest = figures(first["last"] - 1)
    assert newest["first"] == first["last"]
    assert newest["series"]["lag_records"][0] == first["series"]["lag_records"][-1]
    assert figures(first["last"])["series"]["lag_records"] in ([], [0])
    assert figures(10**6)["series"].keys() == first["series"].keys()
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask("x")


def test_an_ended_session_asks_for_the_key(browser, pages):
    browser.driver.delete_all_cookies()
    browser.click("nav a", "Partitions")
    assert browser.wait("[role=alert]", "The session has ended")
    browser.problems()  # the 401


def test_a_program_that_is_gone_is_said_and_found_again(browser, pages):
    def look():
        """The console asks at once, as if its page came to the front."""
        browser.run("document.dispatchEvent(new Event('visibilitychange'))")
        return True
    program = pages.service.program
    assert program.stop() == 0 and look()
    assert browser.wait("[role=alert]", "The program does not answer")
    assert browser.wait("#state", "no answer") and browser.find("body.stale")
    program.start()
    wait_until("the sign-in", lambda: look() and browser.find("#key"))  # its sessions ended with it
    browser.problems()  # the failed requests


def test_over_tls_the_cookie_is_secure_and_a_certificate_that_expires_is_said(pages, tmp_path):
    """And a program that is killed in the middle of an action: its outcome is not claimed."""
    chromium, program = pages.browser, pages.service.program
    chromium.sign_in(KEY)
    chromium.open("scripts")
    program.send(signal.SIGSTOP)
    chromium.click("button", "Reload…")
    chromium.click("dialog button.primary")
    chromium.wait(".notice", "Reload runs…")
    program.kill()
    assert "may have carried it out" in chromium.wait(".notice.bad", "the outcome is unknown").text
    certificate, key = certificates.Authority(tmp_path).issue("server", days=10)
    program.env |= {"AGGREGATOR_ADMIN_TLS_CERTIFICATE": str(certificate), "AGGREGATOR_ADMIN_TLS_KEY": str(key)}
    program.start()
    chromium.origin = f"https://127.0.0.1:{pages.port}"
    chromium.sign_in(KEY)
    (cookie,) = chromium.driver.get_cookies()
    assert cookie["secure"] and cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    assert chromium.run("return document.cookie") == ""
    assert "Replace its files" in chromium.wait(".concerns li", "admin expires in").text
    assert chromium.overflow() <= 0
