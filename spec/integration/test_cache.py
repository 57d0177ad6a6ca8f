"""The cache: saved queries, and no outdated responses."""
import concurrent.futures
import json
import os
import signal
import threading

import pytest
import redis
from harness import (check_counted, edited_config, log_lines, readers_held, slot_event, statement_calls,
                     wait_for_held_readers)
from stack import HEADERS, wait_until
from views import status_path

BATCH, ESSAY, OTHER = "batch-of-cache", "essay-of-cache", "another-batch-of-cache"
REFUSED = "redis rejected a write: caching is off until a write succeeds"
UNANNOUNCED = "commits were not announced to the caches: all cached responses are dropped"
ANNOUNCED = "commits of another process were not announced to the caches: this one did so"
FORGET = """CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.%s; RETURN NEW; END $$;
CREATE TRIGGER forget BEFORE UPDATE ON aggregator_state.consumer_offsets FOR EACH ROW
  EXECUTE FUNCTION forget()"""
REGISTER = """INSERT INTO batch_results (batch_id, registration_at, registration_event_id, user_id,
  essay_count, essay_ids, first_release) VALUES (%s, '2025-06-28T08:00:00Z', gen_random_uuid(),
  'teacher', 1, %s, false)"""


def names(program):
    answer = program.status_of(BATCH)
    return answer and [essay["filename"] for essay in answer["essays"]]


def register(service):
    """Inserts a batch without an event: the caches are not invalidated."""
    service.query(REGISTER, BATCH, [ESSAY])


def processed(service):
    return sum(program.metric("ras_messages_processed_total") for program in service.programs)


def rename(service, filename, second, batch=BATCH, essay=ESSAY):
    """Publishes a new file name and waits until its program has committed it and dropped the
    outdated responses."""
    before = processed(service)
    service.publish([slot_event(batch, essay, filename, second)])
    wait_until("the event", lambda: processed(service) > before)


@pytest.fixture
def cached(service):
    """A service with one batch of one essay, not requested yet."""
    register(service)
    rename(service, "first.txt", 1)
    return service


@pytest.fixture(params=["own", "none"], ids=["redis", "without-redis"])
def slow(request, make_service, cleanup, slow_queries):
    """A service whose query for a batch takes its snapshot, then waits for the test's lock."""
    service = make_service(cleanup, redis=request.param)
    service.start(edited_config(service.folder / "slow.lua",
                                ("route_timeout_ms = 2000", "route_timeout_ms = 20000")),
                  SQL_ROOT=str(slow_queries))
    service.wait_ready()
    register(service)
    rename(service, "first.txt", 1)
    return service


def test_the_second_response_comes_from_the_cache(cached):
    program = cached.program
    first = program.get(status_path(BATCH))
    asked = statement_calls(cached)
    second = program.get(status_path(BATCH))
    assert second[:2] == first[:2]
    assert second[2]["ETag"] == first[2]["ETag"]
    assert statement_calls(cached) == asked == 1
    assert program.metric("ras_cache_misses_total") == 1
    assert program.metric("ras_cache_hits_total") == 1


# The client's words, and the internal ones that the gateway and the teacher back-end read.
WORDS = {"admin-dashboard-service": "processing", "api-gateway-service": "processing_pipelines",
         "bff-teacher-service": "processing_pipelines"}


def ask_as(program, caller, path, **headers):
    return program.get(path, HEADERS | {"X-Service-ID": caller} | headers)


def test_callers_read_one_cached_response_in_their_own_vocabulary(cached):
    cached.query("UPDATE essay_results SET first_result_at = now() WHERE essay_id = %s", ESSAY)
    program, etags = cached.program, {}
    for path in (status_path(BATCH), f"/batches/{BATCH}/status"):
        for caller, word in WORDS.items():
            _, body, headers = ask_as(program, caller, path)
            assert json.loads(body)["overall_status"] == word
            etags.setdefault(word, set()).add(headers["ETag"])
    assert statement_calls(cached) == 1
    assert [len(tags) for tags in etags.values()] == [1, 1]
    client, internal = (tags.pop() for tags in etags.values())
    assert client != internal
    gateway = [ask_as(program, "api-gateway-service", status_path(BATCH), **{"If-None-Match": tag})[0]
               for tag in (internal, client)]
    assert gateway == [304, 200]


def test_redis_holds_the_final_bytes_for_the_time_configured(cached):
    body = cached.program.get(status_path(BATCH))[1]
    client = redis.Redis(port=cached.redis.port)
    key = f"api:batch:{BATCH}"
    assert wait_until("the key", lambda: client.get(key)) == body
    assert 290 <= client.ttl(key) <= 300


def test_an_event_drops_the_cached_response(cached):
    assert names(cached.program) == ["first.txt"]
    for second, name in enumerate(["second.txt", "third.txt", "fourth.txt"], start=2):
        rename(cached, name, second)
        assert names(cached.program) == [name]


def is_cached(service):
    """Whether the second of two responses needs no query."""
    service.program.get(status_path(BATCH))
    before = statement_calls(service)
    service.program.get(status_path(BATCH))
    return statement_calls(service) == before


def check_unannounced_keys_are_not_read(service):
    """An audit asks for what the last commits touched, of which more than one is not announced."""
    def audits():
        return statement_calls(service, "encode(o.commit_tags")

    first = audits()
    wait_until("an audit after the commit", lambda: audits() > first)
    rows, first = statement_calls(service, "encode(o.commit_tags", "rows"), audits()
    wait_until("one more", lambda: audits() > first)
    assert statement_calls(service, "encode(o.commit_tags", "rows") == rows


def test_a_redis_that_refuses_an_invalidation_is_bypassed(cached):
    server = redis.Redis.from_url(cached.redis_url)
    assert names(cached.program) == ["first.txt"]
    wait_until("the answer in Redis", lambda: server.exists(f"api:batch:{BATCH}"))
    server.config_set("maxmemory", 1)
    rename(cached, "second.txt", 2)
    wait_until("the new answer", lambda: names(cached.program) == ["second.txt"])
    assert log_lines(cached.program, REFUSED)
    assert not is_cached(cached)
    rename(cached, "third.txt", 3)
    assert names(cached.program) == ["third.txt"]
    check_unannounced_keys_are_not_read(cached)
    server.config_set("maxmemory", 0)
    wait_until("the cache", lambda: is_cached(cached))
    assert names(cached.program) == ["third.txt"]
    assert len(log_lines(cached.program, REFUSED)) <= 3, "one line a try, every five seconds"


def test_without_redis_an_event_drops_the_cached_response(make_service, cleanup):
    service = make_service(cleanup, redis="none")
    program = service.start()
    register(service)
    rename(service, "first.txt", 1)
    assert [names(program), names(program)] == [["first.txt"]] * 2
    assert statement_calls(service) == 1
    rename(service, "second.txt", 2)
    assert names(program) == ["second.txt"]


def test_two_processes_without_redis_agree_in_the_end(make_service, cleanup):
    """No invalidation passes between the two: a response ends a second later (spec/c/test_cache.c),
    not with cache.ttl_s."""
    service = make_service(cleanup, redis="none")
    register(service)
    service.start()
    rename(service, "first.txt", 1)
    reader = service.start(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    wait_until("an answer that is kept", lambda: names(reader) == ["first.txt"] and
               reader.metric("ras_cache_hits_total") > 0)
    rename(service, "second.txt", 2)
    wait_until("the new answer", lambda: names(reader) == ["second.txt"])


def test_a_cached_response_expires(make_service, cleanup):
    service = make_service(cleanup)
    program = service.start(REDIS_CACHE_TTL_SECONDS="1")
    register(service)
    assert program.status_of(BATCH)["user_id"] == "teacher"
    service.query("UPDATE batch_results SET user_id = 'other'")
    wait_until("the new answer", lambda: program.status_of(BATCH)["user_id"] == "other")


def test_nothing_is_cached_with_the_cache_off(make_service, cleanup):
    service = make_service(cleanup)
    program = service.start(CACHE_ENABLED="false")
    register(service)
    for user in ("one", "two"):
        service.query("UPDATE batch_results SET user_id = %s", user)
        assert program.status_of(BATCH)["user_id"] == user


def test_a_cached_404_expires_long_before_a_response(service):
    """After a second: spec/c/test_cache.c. No event drops it."""
    program = service.program
    asked = 50
    assert {program.get(status_path(BATCH))[0] for _ in range(asked)} == {404}
    assert statement_calls(service) < asked, "the negative answer is cached"
    register(service)
    wait_until("the batch", lambda: program.get(status_path(BATCH))[0] == 200)


def test_an_event_drops_a_cached_404(cached):
    """The 404 depends on the batch's id only."""
    program = cached.program
    assert program.get(status_path("batch-to-come"))[0] == 404
    cached.query(REGISTER, "batch-to-come", [])
    before = program.metric("ras_messages_processed_total")
    cached.publish([slot_event("batch-to-come", "essay-to-come", "a.txt")])
    wait_until("the event", lambda: program.metric("ras_messages_processed_total") > before)
    assert program.get(status_path("batch-to-come"))[0] == 200


def test_a_slow_reader_does_not_store_over_a_commit(slow):
    """A query that began before the commit and ends after it: its response is sent and not
    cached."""
    program, answers = slow.program, []
    with readers_held(slow.database_url):
        reader = threading.Thread(target=lambda: answers.append(names(program)))
        reader.start()
        wait_for_held_readers(slow.database_url)
        rename(slow, "second.txt", 2)
    reader.join()
    assert answers == [["first.txt"]], "the reader's snapshot was older than the commit"
    assert names(program) == ["second.txt"]


def test_a_request_after_a_commit_gets_no_response_read_before_it(slow):
    """Also not by waiting for a query that began before."""
    program, answers = slow.program, {}
    with readers_held(slow.database_url):
        early = threading.Thread(target=lambda: answers.update(early=names(program)))
        early.start()
        wait_for_held_readers(slow.database_url)
        rename(slow, "second.txt", 2)
        late = threading.Thread(target=lambda: answers.update(late=names(program)))
        late.start()
        wait_for_held_readers(slow.database_url, 2)
    early.join()
    late.join()
    assert answers["late"] == ["second.txt"]


def test_many_misses_at_once_make_one_query(slow):
    program = slow.program
    asked = statement_calls(slow)
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        with readers_held(slow.database_url):
            answers = [pool.submit(names, program) for _ in range(30)]
            wait_for_held_readers(slow.database_url)
        assert {tuple(answer.result()) for answer in answers} == {("first.txt",)}
    assert statement_calls(slow) == asked + 1


@pytest.fixture
def two(cached):
    """Two processes on one Redis: the first commits events, the second serves requests only."""
    reader = cached.start(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    wait_until("the subscription", lambda: log_lines(reader, "cache subscribed to invalidations"))
    wait_until("its database", lambda: log_lines(reader, "database is available"))
    return cached, reader


def test_another_process_reads_the_response_from_redis(two):
    service, reader = two
    body = service.program.get(status_path(BATCH))[1]
    wait_until("the key", lambda: redis.Redis(port=service.redis.port).exists(f"api:batch:{BATCH}"))
    asked = statement_calls(service)
    assert reader.get(status_path(BATCH))[1] == body
    assert reader.metric("ras_cache_hits_total") == 1
    assert statement_calls(service) == asked


def test_a_commit_drops_the_response_cached_by_another_process(two):
    service, reader = two
    assert names(reader) == ["first.txt"]
    asked = statement_calls(service)
    assert names(reader) == ["first.txt"]
    assert statement_calls(service) == asked
    rename(service, "second.txt", 2)
    wait_until("the new answer", lambda: names(reader) == ["second.txt"])


def test_a_process_without_subscription_bypasses_its_memory(two):
    service, reader = two
    assert names(reader) == ["first.txt"]
    service.redis.kill()
    wait_until("the loss", lambda: log_lines(
        reader, "cache lost its subscription: responses come from the database until it is back"))
    rename(service, "second.txt", 2)
    assert names(reader) == ["second.txt"]


def test_another_process_does_not_serve_what_redis_refuses_to_drop(two):
    service, reader = two
    server = redis.Redis.from_url(service.redis_url)
    assert names(reader) == ["first.txt"]
    wait_until("the answer in Redis", lambda: server.exists(f"api:batch:{BATCH}"))
    server.config_set("maxmemory", 1)
    rename(service, "second.txt", 2)
    wait_until("the new answer", lambda: names(reader) == ["second.txt"])
    server.config_set("maxmemory", 0)


def killed_between_commit_and_announcement(service, faulty_build, **env):
    """Kills a process with this environment after its second commit, which changes BATCH, and waits
    until a process that gets no partition answers with it. That had an answer for BATCH and one for
    OTHER in both of its caches. Returns it, and whether all of Redis' answers were dropped."""
    service.build = faulty_build
    register(service)
    service.query(REGISTER, OTHER, ["essay-of-other"])
    writer = service.start(AGGREGATOR_FAULT="after_commit:2:KILL", **env)
    rename(service, "first.txt", 1)
    reader = service.start(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    wait_until("an answer that is kept", lambda: names(reader) == ["first.txt"] and
               reader.metric("ras_cache_hits_total") > 0)
    wait_until("an answer of the other batch", lambda: reader.get(status_path(OTHER))[0] == 200 and
               service_redis(service).exists(f"api:batch:{OTHER}"))
    last_drop = service_redis(service).get("ras:cache:floor")
    service.publish([slot_event(BATCH, ESSAY, "second.txt", 2)])
    wait_until("its end", lambda: not writer.running())
    wait_until("the new answer", lambda: names(reader) == ["second.txt"])
    wait_until("its line", lambda: log_lines(reader, ANNOUNCED) or log_lines(reader, UNANNOUNCED))
    return reader, service_redis(service).get("ras:cache:floor") != last_drop


def service_redis(service):
    return redis.Redis.from_url(service.redis_url)


def test_a_commit_whose_process_dies_before_it_is_announced_is_announced_by_another(bare_service,
                                                                                    faulty_build):
    """And nothing else is dropped."""
    reader, dropped_all = killed_between_commit_and_announcement(bare_service, faulty_build)
    assert not dropped_all and service_redis(bare_service).exists(f"api:batch:{OTHER}")
    assert len(log_lines(reader, ANNOUNCED)) == 1
    assert reader.metric('ras_cache_drops_total{reason="unannounced"}') == 0


def test_the_next_owner_of_a_partition_announces_before_its_first_commit(make_service, cleanup, apache,
                                                                          faulty_build, tmp_path):
    """Which follows at once: the killed process is back with its place in the group, and an event waits.
    Its audit hangs."""
    service = make_service(cleanup, apache)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    service.build = faulty_build
    register(service)
    service.query(REGISTER, OTHER, ["essay-of-other"])
    config = edited_config(service.folder / "static.lua", (
        "options = {},", 'options = { ["group.instance.id"] = "one" },'))
    writer = service.start(config, AGGREGATOR_FAULT="after_commit:2:KILL")
    rename(service, "first.txt", 1)
    server = service_redis(service)
    wait_until("both answers in Redis", lambda: names(writer) == ["first.txt"] and
               writer.get(status_path(OTHER))[0] == 200 and
               all(server.exists(f"api:batch:{batch}") for batch in (BATCH, OTHER)))
    last_drop = server.get("ras:cache:floor")
    service.publish([slot_event(BATCH, ESSAY, "second.txt", 2)])
    wait_until("its end", lambda: not writer.running())
    service.publish([slot_event("third-batch", "third-essay", "of-another-batch.txt", 3)])
    writer = service.start(config, AGGREGATOR_FAULT="audit:1:HANG", AGGREGATOR_FAULT_FIFO=str(fifo))
    service.wait_committed(3)
    wait_until("the new answer", lambda: names(writer) == ["second.txt"])
    assert len(wait_until("its line", lambda: log_lines(writer, ANNOUNCED))) == 1
    with open(fifo, "wb"):  # the audit goes on
        wait_until("a cached answer", lambda: names(writer) == ["second.txt"] and
                   writer.metric("ras_cache_hits_total") > 0)
    assert server.get("ras:cache:floor") == last_drop and server.exists(f"api:batch:{OTHER}")


@pytest.mark.parametrize("forgets", ["commit_tags = NULL", "commit_events = NEW.commit_events - 1"])
def test_all_responses_are_dropped_if_it_is_not_known_what_the_commit_touched(
        bare_service, faulty_build, forgets):
    """Of too many keys, or of a release that does not say so; and of two commits."""
    bare_service.query(FORGET % forgets)
    reader, dropped_all = killed_between_commit_and_announcement(bare_service, faulty_build)
    assert dropped_all
    check_counted(reader, 'ras_cache_drops_total{reason="unannounced"}', 1)
    assert len(log_lines(reader, UNANNOUNCED)) == 1
    assert not log_lines(reader, ANNOUNCED)


def test_rebalances_and_lost_connections_drop_no_response(cached):
    program = cached.program
    wait_until("the cache", lambda: is_cached(cached))
    drops, asked = program.metric("ras_cache_drops_total"), statement_calls(cached)
    cached.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                 "application_name = 'aggregator ingest' AND datname = current_database()")
    rename(cached, "of-another-batch.txt", 2, batch="another-batch", essay="another-essay")
    cached.start()
    wait_until("a rebalance", lambda: len(log_lines(program, "partitions assigned")) >= 2)
    rename(cached, "of-one-more.txt", 3, batch="another-batch", essay="another-essay")
    assert names(program) == ["first.txt"]
    assert statement_calls(cached) == asked
    assert program.metric("ras_cache_drops_total") == drops


def test_commits_that_redis_missed_are_announced_when_it_is_back(two):
    """A frozen Redis keeps its responses: commits made meanwhile must drop them, without a further
    event."""
    service, reader = two
    client = redis.Redis(port=service.redis.port)
    assert names(reader) == ["first.txt"]
    wait_until("the key", lambda: client.get(f"api:batch:{BATCH}"))
    service.redis.send(signal.SIGSTOP)
    for second, name in enumerate(["second.txt", "third.txt", "fourth.txt"], start=2):
        rename(service, name, second)
    service.redis.send(signal.SIGCONT)
    wait_until("the new answer", lambda: names(reader) == ["fourth.txt"])
    wait_until("the new answer", lambda: names(service.program) == ["fourth.txt"])


def test_two_services_with_databases_of_their_own_share_a_redis(cached, make_service, cleanup):
    """Neither serves the other's batch of the same id."""
    path = status_path(BATCH)
    assert names(cached.program) == ["first.txt"]
    server = redis.Redis(port=cached.redis.port)
    wait_until("the answer in Redis", lambda: server.exists(f"api:batch:{BATCH}"))
    other = make_service(cleanup, redis=cached.redis_url)
    other.start()
    other.wait_ready()
    assert other.program.get(path)[0] == 404
    server.set(f"api:batch:{BATCH}", '{"forged":true}')
    cached.program.kill()
    cached.start()
    cached.wait_ready(cached.programs[-1])
    assert names(cached.programs[-1]) == ["first.txt"]
