"""Many partitions: metrics, status and console show topics; a rolling restart empties no cache."""
import contextlib
import json
import re
import urllib.request

import many_topics
import pytest
import redis
import stack
from harness import edited_config, log_lines, slot_event, statement_calls
from stack import free_port, wait_until
from test_cache import REGISTER
from views import status_path

TOPICS, PARTITIONS = 30, 20
SHARED = pytest.mark.xdist_group("many")  # one service for all workers
ADMIN_KEY = "an-admin-key-of-16-bytes"
LAG = ("ras_consumer_lag_messages", "ras_consumer_lag_seconds", "ras_consumer_committed_offset")


def event(topic, number):
    return {"topic": topic, "key": f"essay-{number}", "value": json.loads(
        many_topics.value(topic, "a-batch", f"essay-{number}", "a file"))}


@pytest.fixture(scope="module")
def many(make_service, build, tmp_path_factory):
    """A service that reads 600 partitions, and has read an event of each topic."""
    with contextlib.ExitStack() as cleanup:
        folder = tmp_path_factory.mktemp("many")
        topics = many_topics.names(TOPICS)
        kafka = stack.EmbeddedKafka(folder, build, topics, PARTITIONS)
        cleanup.callback(kafka.stop)
        service = make_service(cleanup, kafka.start())
        service.start(ADMIN_API_KEY=ADMIN_KEY, ADMIN_PORT=str(free_port()),
                      **many_topics.write_scripts(folder / "scripts", topics))
        service.publish([event(topic, number) for number, topic in enumerate(topics)])
        service.wait_committed(TOPICS)
        yield service


def series(program, name):
    page = program.get("/metrics")[1].decode()
    return re.findall(rf"^{name}{{(.*)}} (.*)$", page, re.M)


@SHARED
def test_a_worker_with_many_partitions_has_the_lag_of_its_topics(many):
    program = many.program
    wait_until("the offsets", lambda: program.metric("ras_consumer_committed_offset") == TOPICS)
    for name in LAG:
        found = series(program, name)
        assert len(found) == TOPICS
        assert all('partition="worker 0"' in labels for labels, _ in found)
    assert program.metric("ras_consumer_partitions") == TOPICS * PARTITIONS
    assert program.metric("ras_consumer_lag_messages") == 0


def test_a_worker_with_few_has_the_lag_of_each(service):
    program = service.program
    service.wait_ready()
    wait_until("the lag", lambda: series(program, LAG[0]))
    assert len(series(program, LAG[0])) == program.metric("ras_consumer_partitions") > 0
    assert all(re.search(r'partition="\d+"', labels) for labels, _ in series(program, LAG[0]))


@SHARED
def test_the_status_shows_the_topics_that_are_furthest_behind(many):
    page = many.program.command("status", check=False).stdout
    assert len(re.findall(r"^many\.topic\.\d+\.v1 +20 ", page, re.M)) == 20
    assert "and 10 topics that are not further behind; --json has all" in page


@SHARED
def test_the_partitions_of_a_large_group_are_summed_by_topic(many):
    request = urllib.request.Request(
        f"http://127.0.0.1:{many.program.env['ADMIN_PORT']}/admin/partitions",
        headers={"Authorization": f"Bearer {ADMIN_KEY}"})
    with urllib.request.urlopen(request) as answer:
        said = json.load(answer)
    assert len(said["partitions"]) == TOPICS and said["read_here"] == TOPICS * PARTITIONS
    assert all(row["partition"] is None and row["partitions"] == PARTITIONS and row["applied"] == 1
               for row in said["partitions"])
    assert all(one["partition"] is None for one in said["lag_records"])


def test_a_rolling_restart_drops_no_cached_response(make_service, cleanup, apache):
    """Static members: their partitions wait for them."""
    service = make_service(cleanup, apache)

    def config_of(name):
        return edited_config(service.folder / f"{name}.lua", (
            "options = {},", f'options = {{ ["group.instance.id"] = "{name}" }},'))

    programs = [service.start(config_of(name)) for name in ("one", "other")]
    for program in programs:
        service.wait_ready(program)
    batches = [f"rolling-{number}" for number in range(12)]
    service.publish([slot_event(batch, f"{batch}-essay", "a file") for batch in batches])
    service.wait_committed(len(batches))
    for batch in batches:
        service.query(REGISTER, batch, [f"{batch}-essay"])
        assert programs[0].get(status_path(batch))[0] == 200
    server = redis.Redis(port=service.redis.port)
    wait_until("the responses in Redis",
               lambda: len(server.keys("api:batch:rolling-*")) == len(batches))
    for program in programs:
        program.stop()
        program.start()
        service.wait_ready(program)
        service.publish([slot_event("of-another-batch", "another-essay", "a file")])
    asked = statement_calls(service)
    for program in programs:
        for batch in batches:
            assert program.get(status_path(batch))[0] == 200
        assert program.metric("ras_cache_drops_total") == 0
    assert statement_calls(service) == asked
    assert not any(log_lines(program, "commits were not announced to the caches: all cached "
                             "responses are dropped") for program in programs)
