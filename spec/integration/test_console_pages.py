"""The console's pages in a Chromium, against a running program."""
import contextlib
import json
import shutil

import pytest
from browser import Browser
from harness import read_records
from selenium.webdriver.common.keys import Keys
from stack import ROOT, free_port, wait_until

KEY = "console-key-of-thirty-two-bytes!"
PAGES = {"overview": "Overview", "partitions": "Partitions", "scripts": "Scripts",
         "rejected": "Rejected events", "explain": "Explain", "live": "Live events",
         "outbox": "Outbox", "warnings": "Warnings"}
HOSTILE = ["<script>window.harmed = 1</script>", "\"><img src=x onerror=\"window.harmed = 1\">",
           "'; DROP TABLE x; --", "\u202eright to left", "x" * 10240, "\x1b[31mred\x07",
           "{{constructor.constructor('window.harmed = 1')()}}", "javascript:window.harmed=1",
           "\u200b\u2066hidden\u2069", "\\u003cscript\\u003e", "\t\r\n\v", "&lt;b&gt;"]
TOPIC = "hostile.topic"
REJECT = ('INSERT INTO aggregator_state.rejected_events (topic, partition, "offset", rejected_at, '
          "reason, detail, raw, event_id, correlation_id, handler, generation) ")
# One browser and one program: their start takes longer than most tests.
pytestmark = pytest.mark.xdist_group("console")


class Pages:
    def __init__(self, service, cleanup):
        self.service, self.port = service, free_port()
        self.folder = service.folder / "set"
        for name in ("scripts", "sql"):
            shutil.copytree(ROOT / name, self.folder / name)
        service.start(ADMIN_API_KEY=KEY, ADMIN_PORT=str(self.port),
                      SCRIPTS_ROOT=str(self.folder / "scripts"), SQL_ROOT=str(self.folder / "sql"))
        service.wait_ready()
        self.browser = Browser(f"http://127.0.0.1:{self.port}")
        cleanup.callback(self.browser.quit)

    def count_rejected(self, where="true"):
        return self.service.query("SELECT count(*) FROM aggregator_state.rejected_events "
                                  f"WHERE {where}")[0][0]


@pytest.fixture(scope="module")
def pages(make_service):
    with contextlib.ExitStack() as cleanup:
        made = Pages(make_service(cleanup), cleanup)
        made.service.feed("current")
        made.service.wait_committed(len(read_records("current")))
        yield made


@pytest.fixture
def browser(pages):
    """Signed in, at the overview; nothing went wrong in the page meanwhile."""
    chromium = pages.browser
    chromium.size(1280)
    chromium.sign_in(KEY)
    chromium.problems()
    yield chromium
    assert chromium.problems() == []


def test_a_wrong_key_is_refused_and_the_right_one_by_keyboard(pages):
    chromium = pages.browser
    chromium.driver.get(f"{chromium.origin}/")
    chromium.wait("#key")
    assert chromium.focused().get_attribute("id") == "key"
    chromium.keys("wrong", Keys.ENTER)
    assert "none of the administration's keys" in chromium.wait("[role=alert]", "none").text
    chromium.keys("ключ", Keys.ENTER)  # the wrong one is selected
    assert "keyboard" in chromium.wait("[role=alert]", "no such characters").text
    chromium.keys(KEY, Keys.ENTER)
    chromium.wait("h1", "Overview")
    assert KEY not in chromium.driver.page_source
    chromium.click(".tools button", "Sign out")
    chromium.wait("#key")
    assert chromium.driver.get_cookies() == []


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


def test_partitions_open_by_topic(browser, pages):
    browser.open("partitions")
    topics = wait_until("topics", lambda: browser.find(".disclosure"))
    known = pages.service.query("SELECT count(DISTINCT topic) FROM aggregator_state.consumer_offsets")
    assert len(topics) == known[0][0]
    browser.click(".disclosure")
    assert browser.wait("tr.sub", "partition 0 · offset")
    assert browser.wait("td", "alive")


@pytest.fixture
def hostile(pages):
    """Rejected events and messages whose every field is hostile."""
    service = pages.service
    for number, text in enumerate(HOSTILE):
        clean = text.replace("\0", "")
        service.query(REJECT + "VALUES (%s, 0, %s, now(), %s, %s, %s, %s, %s, %s, %s)", TOPIC,
                      number, clean, f"{clean}\n{clean}", clean.encode(), *[clean] * 4)
        service.query("INSERT INTO aggregator_state.outbox (identity, topic, key, value, headers, "
                      "fact_at, source, scripts, traceparent, state, error) VALUES (%s, %s, %s, %s, "
                      "%s, now(), %s, %s, %s, 'failed', %s)", f"{number}{clean[:150]}", clean[:249],
                      clean[:1000], clean.encode(), json.dumps({clean[:50]: clean}), *[clean] * 4)
    yield
    service.query("DELETE FROM aggregator_state.rejected_events WHERE topic = %s", TOPIC)
    service.query("DELETE FROM aggregator_state.outbox WHERE state = 'failed'")


@pytest.mark.parametrize("page, row", [("rejected", ".list [data-row]"), ("outbox", ".list [data-row]")])
@pytest.mark.parametrize("width", [360, 1280])
def test_hostile_content_is_text_alone(browser, hostile, page, row, width):
    browser.size(width)
    browser.open(f"{page}?contains=" if page == "outbox" else f"{page}?topic={TOPIC}")
    browser.wait(row)
    assert browser.wait(row, "<script>window.harmed = 1</script>")
    assert browser.wait(row, "<U+202E>right to left")
    for number in range(len(HOSTILE)):
        browser.run("document.querySelectorAll(arguments[0])[arguments[1]].click()", row, number)
        browser.wait(".drawer .block")
        assert browser.overflow() <= 0
        drawer = "const d = document.querySelector('.drawer'); return d.scrollWidth - d.clientWidth"
        assert browser.run(drawer) <= 0
        browser.keys(Keys.ESCAPE)
        browser.wait_gone(".drawer")
    assert browser.run("return window.harmed") is None
    assert not browser.find("main img, main script, dialog img, dialog script")


@pytest.fixture
def many(pages):
    """10,000 rejected events."""
    pages.service.query(
        REJECT + "SELECT 'many', n %% 3, n, now() - n * interval '1 s', 'reason_' || n %% 2, "
        "'detail ' || n, '{}', md5(n::text)::uuid, NULL, 'handlers/x', 'hash' "
        "FROM generate_series(1, 10000) AS n")
    yield
    pages.service.query("DELETE FROM aggregator_state.rejected_events WHERE topic = 'many'")


def test_ten_thousand_rejected_events_by_keyboard(browser, pages, many):
    browser.open("rejected?topic=many")
    browser.wait("[role=status]", "10,000 rejected events, 200 loaded")
    assert len(browser.find(".list-row")) < 60
    browser.keys("j")
    assert "detail 1\n" in browser.focused().text
    browser.keys(Keys.END)
    browser.wait("[role=status]", "400 loaded")
    browser.keys(Keys.HOME, "x", Keys.ARROW_DOWN, "x")
    browser.wait("button.danger", "Drop 2…")
    browser.keys(Keys.ENTER)
    browser.wait(".drawer .block", "detail 2")
    browser.keys(Keys.ESCAPE)
    browser.wait_gone(".drawer")
    assert "detail 2\n" in browser.focused().text  # the focus is back
    browser.click("button.danger", "Drop 2…")
    assert "no way back" in browser.wait("dialog", "Drop 2 rejected events?").text
    assert browser.focused().text == "Cancel"
    browser.keys(Keys.TAB, Keys.ENTER)
    browser.wait(".toast", "Dropped 2 rejected events")
    browser.wait("[role=status]", "9,998 rejected events")
    assert pages.count_rejected("topic = 'many'") == 9998
    browser.open("rejected?topic=many&reason=reason_1")
    browser.click("button.danger", "Drop all…")
    browser.wait("dialog h2", "Drop all rejected events of topic many and reason reason_1?")
    browser.click("dialog button", "Cancel")
    browser.wait_gone("dialog")
    assert pages.count_rejected("topic = 'many'") == 9998
    browser.click("button.danger", "Drop all…")
    browser.click("dialog button.danger")
    browser.wait(".toast", "Dropped 4,999 rejected events")
    assert pages.count_rejected("topic = 'many'") == 4999


def test_the_list_is_filtered_by_what_it_contains(browser, many):
    browser.open("rejected?topic=many")
    browser.wait("[role=status]", "10,000")
    browser.keys("/")
    browser.keys("detail 777")
    browser.wait("[role=status]", "11 rejected events")
    assert browser.wait("button", "Drop all…").get_attribute("disabled")


def test_a_rejected_event_is_retried(browser, pages):
    spellcheck = next(record for record in read_records("current") if "spellcheck" in record["topic"])
    pages.service.query(REJECT + "VALUES (%s, 0, 900000, now(), 'handler_error', 'x', %s, NULL, NULL, "
                        "'handlers/x', 'hash')", spellcheck["topic"],
                        json.dumps(spellcheck["value"]).encode())
    browser.open("rejected")
    browser.click("[data-row]", "900000")
    browser.click(".drawer button", "Retry…")
    browser.click("dialog button.primary", "Retry")
    browser.wait(".toast", "1 applied or ignored, 0 rejected again")
    wait_until("its end", lambda: pages.count_rejected('"offset" = 900000') == 0)


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
    browser.click("button", "Stop")
    browser.wait("[role=status]", "Stopped")


def test_messages_are_retried_and_dropped(browser, pages):
    def make(state):
        return pages.service.query(
            "INSERT INTO aggregator_state.outbox (identity, topic, key, value, fact_at, source, "
            "scripts, state, error) VALUES (gen_random_uuid()::text, 'huleedu.x.v1', 'k', '{\"a\": 1}', "
            "now(), 'reactions/x', 'h', %s, 'too large') RETURNING id", state)[0][0]

    def state_of(number):
        return pages.service.query("SELECT state FROM aggregator_state.outbox WHERE id = %s", number)[0][0]
    retried, dropped = make("failed"), make("failed")
    browser.open("outbox?state=failed")
    browser.click("[data-row]", str(retried))
    assert '"a": 1' in browser.wait(".drawer .block", '"a"').text
    browser.click(".drawer button", "Retry…")
    browser.click("dialog button.primary", "Retry")
    browser.wait(".toast", "1 failed message made pending")
    wait_until("the message to be sent", lambda: state_of(retried) == "sent")
    browser.click("[data-row]", str(dropped))
    browser.click(".drawer button", "Drop…")
    browser.click("dialog:not(.drawer) button.danger", "Drop")
    browser.wait(".toast", "1 message settled")
    assert state_of(dropped) == "settled"


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


def test_an_ended_session_asks_for_the_key(browser, pages):
    browser.driver.delete_all_cookies()
    browser.click("nav a", "Partitions")
    assert browser.wait("[role=alert]", "The session has ended")
    browser.problems()  # the 401


def test_a_program_that_is_gone_is_said_and_found_again(browser, pages):
    program = pages.service.program
    assert program.stop() == 0
    assert browser.wait("[role=alert]", "The program does not answer")
    assert browser.wait("#state", "no answer") and browser.find("body.stale")
    program.start()
    pages.service.wait_ready()
    browser.wait("#key")  # its sessions ended with it
    browser.problems()  # the failed requests
