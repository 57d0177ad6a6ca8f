"""The metrics of the running program: their format, names, labels and counts."""
import re
import uuid

import http_client
import pytest
from http_client import KEYS, LIST, STATUS
from stack import wait_until


@pytest.fixture(scope="module")
def program(world):
    return world.start(env={"LOG_LEVEL": "DEBUG"}).wait_batch()


DEFAULT_BUCKETS = {.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
SAMPLE = re.compile(r'([a-z_:]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+\})? (\S+)')


def read_exposition(text):
    """{family: (type, [(sample name, labels, value)])}; every rule of the text format is checked."""
    families, current = {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split(" ")[2]
            assert current not in families and len(line.split(" ", 3)[3]) > 0
            families[current] = [None, []]
        elif line.startswith("# TYPE "):
            assert line.split(" ")[2] == current and families[current][0] is None
            families[current][0] = line.split(" ")[3]
        else:
            name, labels, value = SAMPLE.fullmatch(line).groups()
            assert re.fullmatch(re.escape(current) + "(_bucket|_sum|_count)?", name)
            families[current][1].append((name, labels or "", float(value)))
    return families


def test_metrics_are_prometheus_text(program):
    answer = program.ask("/metrics")
    assert answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    families = read_exposition(answer.body.decode())
    for kind, samples in families.values():
        assert kind in ("counter", "gauge", "histogram")
        if kind == "histogram":
            check_histogram(samples)


def check_histogram(samples):
    series = {}
    for name, labels, value in samples:
        plain = re.sub(r',?\ble="[^"]*"', "", labels).replace("{}", "")
        series.setdefault(plain, []).append((name, labels, value))
    for cells in series.values():
        buckets = [(float(re.search(r'\ble="([^"]*)"', labels)[1]), value)
                   for name, labels, value in cells if name.endswith("_bucket")]
        assert buckets == sorted(buckets) and buckets[-1][0] == float("inf")
        assert [value for _, value in buckets] == sorted(value for _, value in buckets)
        assert DEFAULT_BUCKETS <= {bound for bound, _ in buckets}
        assert [value for name, _, value in cells if name.endswith("_count")] == [buckets[-1][1]]


@pytest.mark.parametrize("name, labels", [
    ("ras_api_requests_total", "endpoint method status_code"),
    ("ras_api_errors_total", "endpoint error_type"),
    ("ras_api_request_duration_seconds", "endpoint method"),
    ("ras_messages_processed_total", ""), ("ras_consumer_errors_total", ""),
    ("ras_cache_hits_total", "cache_type"), ("ras_cache_misses_total", "cache_type"),
    ("ras_invalid_messages_total", "topic error_type"),
    ("ras_db_operations_total", "operation status"),
    ("ras_db_operation_duration_seconds", "operation"),
    ("ras_message_processing_duration_seconds", ""),
    ("process_resident_memory_bytes", ""), ("process_cpu_seconds_total", ""),
    ("process_open_fds", ""), ("process_max_fds", ""), ("process_start_time_seconds", ""),
    ("ras_build_info", "version"), ("ras_http_connections", ""),
    *((f"result_aggregator_service_database_{name}", labels) for name, labels in (
        ("query_duration_seconds", "operation table result"),
        ("transaction_duration_seconds", "operation result"),
        ("transactions_total", "operation result"), ("connections_active", ""),
        ("connections_idle", ""), ("connections_total", ""))),
    ("outbox_queue_depth", "service"), ("outbox_events_added_total", "service event_type"),
    ("outbox_events_published_total", "service event_type"),
    ("outbox_events_failed_total", "service event_type"),
    ("outbox_relay_errors_total", "service error_type"),
    ("outbox_event_age_seconds", "service")])
def test_the_platforms_metrics_are_present(program, world, name, labels):
    program.ask(STATUS, headers=b"")
    if name == "ras_invalid_messages_total":
        bad = http_client.registration("bad")
        del bad["value"]["data"]["user_id"]
        world.feed([bad])
        wait_until("the rejection", lambda: program.metric(name) > 0)
    samples = read_exposition(program.ask("/metrics").body.decode())[name][1]
    assert samples
    for _, text, _ in samples:
        assert sorted(set(re.findall(r'([a-z_]+)="', text)) - {"le"}) == sorted(labels.split())


@pytest.mark.parametrize("path, headers, method, cell", [
    (STATUS, KEYS, "GET", 'endpoint="get_batch_status",method="GET",status_code="200"'),
    (STATUS, KEYS, "HEAD", 'endpoint="get_batch_status",method="HEAD",status_code="200"'),
    (STATUS, KEYS + b"If-None-Match: *\r\n", "GET",
     'endpoint="get_batch_status",method="GET",status_code="304"'),
    (STATUS, b"", "GET", 'endpoint="get_batch_status",method="GET",status_code="401"'),
    ("/batches/x/status", KEYS, "GET",
     'endpoint="get_batch_status",method="GET",status_code="404"'),
    ("/batches/%00/status", KEYS, "GET",
     'endpoint="get_batch_status",method="GET",status_code="400"'),
    (LIST + "?limit=0", KEYS, "GET", 'endpoint="get_user_batches",method="GET",status_code="400"'),
    (LIST, KEYS, "GET", 'endpoint="get_user_batches",method="GET",status_code="200"'),
    (STATUS, KEYS, "PUT", 'endpoint="unknown",method="PUT",status_code="405"'),
    ("/no", b"", "GET", 'endpoint="unknown",method="GET",status_code="404"'),
    ("/no", b"Content-Length: x\r\n", "GET", 'endpoint="unknown",method="GET",status_code="400"'),
    ("/healthz", b"", "POST", 'endpoint="healthz",method="POST",status_code="405"'),
    ("*", b"", "OPTIONS", 'endpoint="server",method="other",status_code="204"')])
def test_every_response_is_counted(program, path, headers, method, cell):
    name = "ras_api_requests_total{" + cell + "}"
    before = program.samples().get(name, 0)
    program.ask(path, method, headers)
    assert program.samples()[name] == before + 1


def test_hits_and_misses_are_counted(program):
    def counts():
        samples = program.samples()
        return [samples.get(f'ras_cache_{what}_total{{cache_type="batch_status"}}', 0)
                for what in ("hits", "misses")]

    program.ask(STATUS)
    hits, misses = counts()
    for _ in range(5):
        program.ask(STATUS)
    assert counts() == [hits + 5, misses]
    program.ask(f"/batches/{uuid.uuid4()}/status")
    assert counts() == [hits + 5, misses + 1]


def test_labels_are_bounded_for_any_request(program):
    def ask(number):
        program.ask(f"/one/{number}", f"M{number}")
        program.ask(f"/batches/{uuid.uuid4()}/status")

    def samples():  # not those of partitions, which come when they are assigned
        return {name for name in program.samples() if "partition=" not in name}

    ask(0)
    samples()  # is a request, too
    before = samples()
    for number in range(1, 40):
        ask(number)
    assert samples() - before == set()
