"""Processes that only answer requests (ingest.workers = 0), and processes that only ingest (http.routes =
false)."""
import json

from harness import check_counted, dependencies, log_lines, slot_event
from stack import wait_until
from test_cache import BATCH, ESSAY, names, register, rename
from views import status_path


def connections(service, name):
    """How many a process has under this name."""
    return service.query("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND "
                         "datname = current_database()", name)[0][0]


def test_one_process_ingests_and_one_answers(bare_service):
    service = bare_service
    ingests = service.start(AGGREGATOR_HTTP_ROUTES="false")
    service.wait_ready(ingests)
    answers = service.start(INGEST_WORKERS="0")
    service.wait_ready(answers)
    register(service)
    rename(service, "first.txt", 1)
    wait_until("the response", lambda: names(answers) == ["first.txt"])

    kafka = dependencies(answers)["kafka"]
    assert (kafka["status"], kafka["workers"]) == ("disabled", 0)
    assert answers.get("/healthz")[0] == 200 and answers.get("/readyz/read")[0] == 200
    status, body, _ = answers.get("/readyz/consume")
    assert (status, json.loads(body)["dependencies"]["kafka"]["reason"]) == (
        503, "ingest.workers is 0: this process only answers requests")
    status, body, headers = ingests.get(status_path(BATCH))
    assert (status, json.loads(body)["error"]) == (503, "This process answers no routes")
    assert headers["Retry-After"]
    assert ingests.get("/openapi.json")[0] == 200
    assert (ingests.get("/readyz")[0], ingests.get("/readyz/read")[0]) == (200, 503)
    check_counted(ingests, "ras_messages_processed_total", 1)
    assert ingests.sum_cells('ras_api_unavailable_total{[^}]*reason="no_routes"[^}]*}') == 1

    # The caches of the one follow the commits of the other.
    hits = answers.metric("ras_cache_hits_total")
    wait_until("a cached response", lambda: names(answers) == ["first.txt"] and
               answers.metric("ras_cache_hits_total") > hits)
    rename(service, "second.txt", 2)
    wait_until("the new response", lambda: names(answers) == ["second.txt"])

    # Neither has what the other needs.
    assert connections(service, "aggregator reactions") == 1
    assert connections(service, "aggregator outbox") <= 1
    assert "ras_consumer_lag_messages{" not in answers.get("/metrics")[1].decode()
    assert 'ras_dependency_up{dependency="kafka"}' not in answers.get("/metrics")[1].decode()
    assert connections(service, "aggregator scripts") >= 1
    shown = answers.ask("status")
    assert shown["reactions"] is None and shown["outbox"] is None
    assert shown["health"]["status"] == "healthy", shown["health"]

    # Operators see it, and scripts are replaced in both.
    text = answers.command("status").stdout
    for line in ("INGESTION  off: this process only answers requests (ingest.workers is 0)",
                 "OUTBOX  another process sends: outbox.enabled or ingest.workers",
                 "REACTIONS  run in other processes: ingest.workers is 0"):
        assert line in text, text
    for program in (answers, ingests):
        assert program.command("reload", check=False).returncode == 0
    rename(service, "third.txt", 3)
    wait_until("the response after a reload", lambda: names(answers) == ["third.txt"])
    assert [program.stop() for program in (answers, ingests)] == [0, 0]
    assert not log_lines(answers, "partitions assigned")


def test_a_process_that_would_do_nothing_is_refused(bare_service):
    program = bare_service.prepare(INGEST_WORKERS="0", AGGREGATOR_HTTP_ROUTES="false")
    refused = program.command("run", check=False)
    assert refused.returncode != 0
    assert "this process would do nothing; set ingest.workers to 1 or more, or http.routes to true" \
        in refused.stderr
    assert "http.routes is false (AGGREGATOR_HTTP_ROUTES)" in refused.stderr


def test_events_wait_while_only_answering_processes_run(bare_service):
    service = bare_service
    answers = service.start(INGEST_WORKERS="0")
    service.wait_ready(answers)
    register(service)
    service.publish([slot_event(BATCH, ESSAY, "waits.txt")])
    assert names(answers) == []
    ingests = service.start(AGGREGATOR_HTTP_ROUTES="false")
    wait_until("the event", lambda: names(answers) == ["waits.txt"])
    check_counted(ingests, "ras_messages_processed_total", 1)
