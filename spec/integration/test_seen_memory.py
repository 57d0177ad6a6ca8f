"""The memory of Redis for the ids of processed events: bounded, and without effect on rows where it ends."""
import contextlib
import re

import pytest
import redis as redis_client
from harness import log_lines, slot_event
from stack import wait_until

EVENTS = 6000
BOUND = 1048576 // 209  # ids of redis.seen_max_mb = 1
REFUSED = "Redis refuses commands: the service continues without them"


def events(count, first=0):
    return [slot_event(f"batch-{number % 50}", f"essay-{number}", "a.txt")
            for number in range(first, first + count)]


def rows(service):
    return service.query("SELECT count(*), count(DISTINCT essay_id), min(filename), "
                         "max(filename) FROM essay_results")[0]


def publish(service, records):
    before = service.committed_events()
    service.publish(records)
    service.wait_committed(before + len(records))


@contextlib.contextmanager
def ids_of(service):
    with redis_client.Redis(port=service.redis.port) as client:
        yield client, lambda: [key for key in client.keys("ras:seen:*")]


def test_ids_stop_at_the_bound_and_rows_do_not_depend_on_them(bare_service):
    service = bare_service
    program = service.start(AGGREGATOR_REDIS_SEEN_MAX_MB="1", AGGREGATOR_INGEST_BATCH_MAX_EVENTS="100")
    service.wait_ready()
    records = events(EVENTS)
    publish(service, records)
    more = iter(range(EVENTS, 2 * EVENTS))

    def counted():  # with a commit, once a second
        publish(service, events(1, first=next(more)))
        return program.metric("ras_redis_seen_bytes") > BOUND * 209 / 2

    with ids_of(service) as (client, ids):
        wait_until("the count", counted)
        assert BOUND / 2 < len(ids()) < BOUND + 200
        assert min(client.ttl(key) for key in ids()) < 86000 < max(client.ttl(key) for key in ids())
    assert 0 < program.metric("ras_redis_seen_skipped_total") < EVENTS
    assert program.metric("ras_redis_seen_ttl_seconds") < 86400
    duplicates = program.metric("ras_duplicate_messages_total")
    publish(service, records)
    found = program.metric("ras_duplicate_messages_total") - duplicates
    assert 0 < found < EVENTS, "those whose ids had room were skipped, the others merged again"
    count = next(more)
    assert rows(service) == (count, count, "a.txt", "a.txt")
    assert program.metric("ras_redis_refusals_total") == 0
    page = program.command("status").stdout
    assert re.search(r"\nids of processed events in Redis: 1 of 1 MiB; new ones are (kept for|not stored)", page)


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru"])
def test_a_redis_without_memory_takes_no_ids_and_loses_no_event(bare_service, policy):
    service = bare_service
    program = service.start(AGGREGATOR_INGEST_BATCH_MAX_EVENTS="100")
    service.wait_ready()
    publish(service, events(10))
    with ids_of(service) as (client, ids):
        wait_until("ids", ids)
        client.config_set("maxmemory-policy", policy)
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 200000)
        publish(service, events(EVENTS, first=10))
        publish(service, events(EVENTS, first=10))  # known to Redis or not
        assert rows(service) == (EVENTS + 10, EVENTS + 10, "a.txt", "a.txt")
        evicted = client.info("stats")["evicted_keys"]
        client.config_set("maxmemory", 0)
    if policy == "noeviction":
        assert program.metric("ras_redis_seen_skipped_total") > 0
        assert len(log_lines(program, REFUSED)) == 1
    else:
        assert evicted > 0
        assert program.metric("ras_redis_refusals_total") == 0
