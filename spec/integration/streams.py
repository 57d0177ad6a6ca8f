#!/usr/bin/env python3
"""The running program against real Postgres, Redis and an embedded Kafka: every sample stream gives
exactly its expected view over HTTP, whatever is killed meanwhile.

    streams.py BUILD_FOLDER     needs PG_TEST_URL and REDIS_TEST_URL
"""
import json, os, pathlib, re, signal, socket, subprocess, sys, tempfile, time
import urllib.error, urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "spec/fixtures/samples"
BUILD = pathlib.Path(sys.argv[1]).resolve()
KEYS = {"X-Internal-API-Key": "test-key", "X-Service-ID": "api-gateway-service"}
DEADLINE_S = 60


def wait_until(what, condition):
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"gave up waiting for {what}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def topics():
    found = set()
    for file in (ROOT / "scripts/handlers").glob("*.lua"):
        found |= set(re.findall(r'"(huleedu\.[a-z_.]+v1)"', file.read_text()))
    return sorted(found) + ["huleedu.batch.spellcheck.phase.completed.v1"]


class Stack:
    """One embedded broker, one fresh database, one program."""

    def __init__(self, redis=True):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="aggregator-"))
        self.port = free_port()
        boot = self.folder / "brokers"
        self.broker = subprocess.Popen([BUILD / "mock_kafka", boot, *topics()],
                                       stderr=subprocess.DEVNULL)
        self.brokers = wait_until("the broker", lambda: boot.exists() and boot.read_text().strip())
        name = f"ras_{os.getpid()}_{self.port}"
        admin = os.environ["PG_TEST_URL"]
        subprocess.run(["psql", "-qX", admin, "-c", f"CREATE DATABASE {name}"], check=True)
        self.env = os.environ | {
            "RESULT_AGGREGATOR_SERVICE_DATABASE_URL": admin.rsplit("/", 1)[0] + "/" + name,
            "REDIS_URL": os.environ["REDIS_TEST_URL"] if redis else "redis://127.0.0.1:1",
            "KAFKA_BOOTSTRAP_SERVERS": self.brokers, "KAFKA_SESSION_TIMEOUT_MS": "6000",
            "HOST": "127.0.0.1", "PORT": str(self.port),
            "HULEEDU_INTERNAL_API_KEY": "old-key,test-key"}
        self.run("migrate")
        self.start()

    def run(self, verb):
        return subprocess.run([BUILD / "aggregator", verb], cwd=ROOT, env=self.env, check=True,
                              capture_output=True, text=True)

    def start(self):
        log = open(self.folder / "aggregator.log", "a")
        self.program = subprocess.Popen([BUILD / "aggregator", "run"], cwd=ROOT, env=self.env,
                                        stderr=log)
        wait_until("the program", lambda: self.get("/healthz")[0] == 200)

    def feed(self, name, rate="0"):
        return subprocess.Popen([BUILD / "feed", self.brokers, SAMPLES / f"{name}.jsonl", rate],
                                stdout=subprocess.DEVNULL)

    def get(self, path, headers=KEYS, method="GET"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers,
                                         method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers
        except OSError:
            return 0, b"", {}

    def stop(self):
        self.program.send_signal(signal.SIGTERM)
        status = self.program.wait(timeout=50)
        self.broker.terminate()
        self.broker.wait(timeout=20)
        return status


def differences(expected, answer):
    essays = {essay["essay_id"]: essay for essay in answer["essays"]}
    found = []
    for key, want in expected.items():
        if key == "phases":
            got = sorted(phase["phase_name"] for phase in answer["phases"])
            want = sorted(want)
        elif key == "essays":
            got, want = sorted(essays), sorted(want)
        else:
            got = answer.get(key)
        if got != want:
            found.append((key, want, got))
    for essay_id, wanted in expected["essays"].items():
        for key, want in wanted.items():
            essay = essays.get(essay_id, {})
            got = (essay.get("spellcheck_error_detail") is not None
                   if key == "spellcheck_error" else essay.get(key))
            if got != want:
                found.append((essay_id, key, want, got))
    return found


def wait_for_view(stack, name):
    expected = json.loads((SAMPLES / f"{name}.expected.json").read_text())
    last = []

    def equal():
        last.clear()
        for batch_id, wanted in expected.items():
            status, body, _ = stack.get(f"/internal/v1/batches/{batch_id}/status")
            last.extend(differences(wanted, json.loads(body)) if status == 200 else [status])
        return not last

    try:
        wait_until(f"the view of {name}", equal)
    except AssertionError as error:
        raise AssertionError(f"{error}: {last[:4]}") from error
    return expected


def stream_gives_its_view(name, redis=True):
    stack = Stack(redis)
    try:
        assert stack.feed(name).wait() == 0
        wait_for_view(stack, name)
    finally:
        status = stack.stop()
    assert status == 0, f"exit status {status}"


def killed_program_loses_nothing():
    stack = Stack()
    try:
        feeder = stack.feed("current", "100")
        while feeder.poll() is None:
            wait_until("progress", lambda: feeder.poll() is not None
                       or b"ras_messages_processed_total" in stack.get("/metrics")[1])
            stack.program.kill()
            stack.program.wait()
            stack.start()
        wait_for_view(stack, "current")
    finally:
        stack.stop()


def http_rules():
    stack = Stack()
    try:
        stack.feed("current").wait()
        batch_id, wanted = next(iter(wait_for_view(stack, "current").items()))
        path = f"/internal/v1/batches/{batch_id}/status"
        wait_until("readiness", lambda: stack.get("/readyz")[0] == 200)
        cases = [
            (path, {}, "GET", 401, b'{"error":"Missing authentication"}'),
            (path, KEYS | {"X-Internal-API-Key": "no"}, "GET", 401,
             b'{"error":"Invalid credentials"}'),
            (path, KEYS | {"X-Internal-API-Key": "old-key"}, "GET", 200, None),
            ("/internal/v1/batches/none/status", KEYS, "GET", 404, b'{"error":"Batch not found"}'),
            (path, KEYS, "POST", 405, None), ("/nowhere", KEYS, "GET", 404, None),
            (f"/batches/{batch_id}/status", KEYS, "GET", 200, None), (path, KEYS, "HEAD", 200, b""),
            ("/internal/v1/batches/user/u?limit=0", KEYS, "GET", 400, None),
            ("/internal/v1/batches/user/u?offset=-1", KEYS, "GET", 400, None),
            ("/internal/v1/batches/user/u?status=nonsense", KEYS, "GET", 400, None),
            ("/internal/v1/batches/user/u", KEYS, "GET", 200,
             b'{"batches":[],"pagination":{"limit":20,"offset":0,"total":0,"next_cursor":null}}'),
            ("/readyz", {}, "GET", 200, None), ("/metrics", {}, "GET", 200, None),
            ("/internal/v1/batches/%ff/status", KEYS, "GET", 400, None)]
        for where, headers, method, status, body in cases:
            got = stack.get(where, headers, method)
            assert got[0] == status, (where, method, status, got[:2])
            assert body is None or got[1] == body, (where, method, got[1])
        etag = stack.get(path)[2]["ETag"]
        again = stack.get(path, KEYS | {"If-None-Match": etag})
        assert again[0] == 304, (etag, again)
        assert stack.get(path, KEYS | {"X-Correlation-ID": "abc"})[2]["X-Correlation-ID"] == "abc"
        listed = json.loads(stack.get(f"/internal/v1/batches/user/{wanted['user_id']}")[1])
        assert batch_id in [batch["batch_id"] for batch in listed["batches"]], listed
    finally:
        stack.stop()


CASES = {
    **{f"{name} gives its expected view": lambda name=name: stream_gives_its_view(name)
       for name in ("current", "first", "first-unlinked", "current-hard")},
    "works without Redis": lambda: stream_gives_its_view("current", redis=False),
    "a program killed again and again loses nothing": killed_program_loses_nothing,
    "HTTP answers as the contract says": http_rules,
}

passed = failed = 0
for title, case in CASES.items():
    try:
        case()
        passed += 1
        print("ok  ", title, flush=True)
    except Exception as error:  # a failing case must not hide the next
        failed += 1
        print("FAIL", title, "-", repr(error)[:2000], flush=True)
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
