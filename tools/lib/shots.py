"""shots: pictures of the console for docs/operate/console.md, of a program that works for a while.

    /usr/bin/python3 tools/lib/servers.py FOLDER /usr/bin/python3 tools/lib/shots.py BUILD
"""
import contextlib
import os
import pathlib
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools/lib"), str(ROOT / "spec/integration")]

import harness  # noqa: E402
import stack  # noqa: E402
from browser import Browser  # noqa: E402

KEY = "a-key-for-the-pictures-of-the-docs"
WORK_S = 200  # until the charts have something to show
PICTURES = [("overview", "light", "Ready"), ("rejected", "dark", "not_json")]


def work(service):
    """Events and requests, as many as a quiet day has."""
    batches = [row[0] for row in service.query("SELECT batch_id FROM batch_results")]
    end = time.monotonic() + WORK_S
    while time.monotonic() < end:
        feeder = service.feed("current", rate=40, wait=False)
        while feeder.poll() is None and time.monotonic() < end:
            for batch in batches[:6]:
                url = f"http://127.0.0.1:{service.program.port}/internal/v1/batches/{batch}/status"
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(urllib.request.Request(url, headers=stack.HEADERS)).read()
            time.sleep(0.05)


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    with contextlib.ExitStack() as cleanup:
        folder = pathlib.Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
        kafka = stack.EmbeddedKafka(folder, build)
        cleanup.callback(kafka.stop)
        kafka.start()
        url = stack.create_database(os.environ["PG_TEST_URL"], "shots")
        service = harness.Service(folder, build, kafka, url, os.environ["REDIS_TEST_URL"], cleanup)
        stack.Aggregator(folder, build, url, "none", kafka.brokers).command("migrate")
        port = stack.free_port()
        service.start(ADMIN_API_KEY=KEY, ADMIN_PORT=str(port), SERVICE_NAME="result_aggregator_service")
        service.wait_ready()
        for stream in ("current", "current-hard"):
            service.feed(stream)
        service.wait_committed(len(harness.read_records("current")))
        work(service)
        browser = Browser(f"http://127.0.0.1:{port}")
        cleanup.callback(browser.quit)
        browser.size(1280, 760)
        browser.sign_in(KEY)
        for page, scheme, text in PICTURES:
            browser.prefer(prefers_color_scheme=scheme)
            browser.open(page)
            browser.wait("main", text)
            for button in browser.find(".segmented button")[:1]:
                browser.run("arguments[0].click()", button)
            browser.run("document.activeElement.blur()")
            browser.driver.save_screenshot(str(ROOT / f"docs/operate/console-{page}.png"))


if __name__ == "__main__":
    main()
