"""The console's lists in a Chromium: rejected events and messages, thousands or hostile, by keyboard."""
import itertools
import json

import pytest
from harness import read_records
from selenium.webdriver.common.keys import Keys
from stack import UNREAD_TOPIC, wait_until

HOSTILE = ["<script>window.harmed = 1</script>", "\"><img src=x onerror=\"window.harmed = 1\">",
           "'; DROP TABLE x; --", "\u202eright to left", "x" * 10240, "\x1b[31mred\x07",
           "{{constructor.constructor('window.harmed = 1')()}}", "javascript:window.harmed=1",
           "\u200b\u2066hidden\u2069", "\\u003cscript\\u003e", "\t\r\n\v", "&lt;b&gt;"]
TOPIC = "hostile.topic"
REJECT = ('INSERT INTO aggregator_state.rejected_events (topic, partition, "offset", rejected_at, '
          "reason, detail, raw, event_id, correlation_id, handler, generation) ")
# One browser and one program: their start takes longer than most tests.
pytestmark = pytest.mark.xdist_group("console")


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


# Opens the details of each row and closes them; by how many pixels the page or they are too wide.
OPEN_EACH = """
  const [row, count] = arguments;
  const until = async (condition) => {
    const end = performance.now() + 120000;
    while (!condition()) {
      if (performance.now() > end) throw new Error(`gave up: ${condition}`);
      await new Promise((done) => setTimeout(done, 5));
    }
  };
  const wide = (element) => element.scrollWidth - element.clientWidth;
  let most = 0;
  for (let i = 0; i < count; i++) {
    document.querySelectorAll(row)[i].click();
    await until(() => document.querySelector(".drawer .block"));
    const drawer = document.querySelector(".drawer");
    most = Math.max(most, wide(drawer), wide(document.documentElement));
    drawer.close();
    await until(() => !document.querySelector(".drawer"));
  }
  return most;
"""


def test_hostile_content_is_text_alone(browser, hostile):
    row = ".list [data-row]"
    for width, page in itertools.product((360, 1280), (f"rejected?topic={TOPIC}", "outbox?contains=")):
        browser.size(width)
        browser.open(page)
        assert browser.wait(row, "<script>window.harmed = 1</script>")
        assert browser.wait(row, "<U+202E>right to left")
        assert browser.wait_script(OPEN_EACH, row, len(HOSTILE)) == 0, (width, page)
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


def test_a_response_that_was_overtaken_is_not_shown(browser, pages, many):
    browser.open("rejected?topic=many")
    browser.wait("[role=status]", "10,000 rejected events, 200 loaded")
    with browser.response_held("/admin/rejected?") as wait_for_held:
        browser.click("button", "Load again")
        wait_for_held()
        pages.service.query("DELETE FROM aggregator_state.rejected_events WHERE topic = 'many' AND \"offset\" > 1")
        browser.click("button", "Load again")
        browser.wait("[role=status]", "1 rejected event")
    assert browser.wait("[role=status]").text == "1 rejected event"


def test_details_that_were_overtaken_are_not_shown(browser, many):
    browser.open("rejected?topic=many")
    with browser.response_held("/admin/rejected/") as wait_for_held:
        browser.click("[data-row]", "detail 1\n")
        wait_for_held()
        browser.click(".drawer [aria-label=Next]")
        browser.wait(".drawer .block", "detail 2")
    assert browser.find(".drawer .block")[0].text == "detail 2"


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


def test_messages_are_retried_and_dropped(browser, pages):
    def make(error):
        return pages.service.query(
            "INSERT INTO aggregator_state.outbox (identity, topic, key, value, fact_at, source, "
            "scripts, state, error) VALUES (gen_random_uuid()::text, %s, 'k', '{\"a\": 1}', "
            "now(), 'reactions/x', 'h', 'failed', %s) RETURNING id", UNREAD_TOPIC, error)[0][0]

    def state_of(number):
        return pages.service.query("SELECT state FROM aggregator_state.outbox WHERE id = %s", number)[0][0]
    retried, dropped = make("to be retried"), make("to be dropped")
    browser.open("outbox?state=failed")
    browser.click("[data-row]", "to be retried")
    assert '"a": 1' in browser.wait(".drawer .block", '"a"').text
    browser.click(".drawer button", "Retry…")
    browser.click("dialog button.primary", "Retry")
    browser.wait(".toast", "1 failed message made pending")
    try:
        wait_until("the message to be sent", lambda: state_of(retried) == "sent")
    except AssertionError as error:  # says what the relay knows of it
        raise AssertionError(pages.service.query("SELECT * FROM aggregator_state.outbox"),
                             pages.service.program.ask("status")["outbox"]) from error
    browser.click("[data-row]", "to be dropped")
    browser.click(".drawer button", "Drop…")
    browser.click("dialog:not(.drawer) button.danger", "Drop")
    browser.wait(".toast", "1 message settled")
    assert state_of(dropped) == "settled"
