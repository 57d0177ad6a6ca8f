"""The main faults, made for real: the conditions of their alerts become true in a Prometheus that
reads the program, and are false before. Times of an hour would be too long here, so thresholds of
seconds are lowered; test_alerts.py tests those of the rules."""
import re
import shutil
import time

import pytest
import yaml
from harness import read_records
from prometheus import Prometheus
from stack import ROOT, wait_until
from test_alerts import RULES, rules
from views import status_path

SLOTS = "huleedu.els.essay.slot.assigned.v1"
TOPIC = "outbox.facts.v1"


def expressions(alert):
    """The alert's conditions, recording rules in their place. Ten seconds or more are two,
    and five minutes six seconds."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    recorded = {rule["record"]: f"({rule['expr']})" for group in groups for rule in group["rules"]
                if "record" in rule}
    found = [rule["expr"] for rule in rules() if rule["alert"] == alert]
    assert found, alert
    for name, text in recorded.items():
        found = [expression.replace(name, text) for expression in found]
    found = [re.sub(r"((?:processed|duplicate_messages)_total)\[5m\]", r"\1[6s]", expression)
             for expression in found]
    return [re.sub(r"(_seconds\)?\)?) > \d{2,}", r"\1 > 2", expression) for expression in found]


class Watched:
    """A program with a Prometheus."""

    def __init__(self, service, folder):
        self.prometheus = Prometheus(folder, service.programs)
        service.cleanup.callback(self.prometheus.kill)
        self.prometheus.start()

    def holds(self, alert):
        return any(self.prometheus.query(expression) for expression in expressions(alert))

    def quiet(self, *alerts):
        """None of them holds once the program was read."""
        wait_until("a scrape", lambda: self.prometheus.query("ras_ready == 1"))
        assert [alert for alert in alerts if self.holds(alert)] == []

    def sees(self, *alerts):
        for alert in alerts:
            wait_until(f"the condition of {alert}", lambda alert=alert: self.holds(alert), 90, 0.25)


@pytest.fixture
def watch(tmp_path):
    def begin(service):
        return Watched(service, tmp_path / "prometheus")
    return begin


def test_redis_down(service, watch):
    watched = watch(service)
    watched.quiet("AggregatorRedisDown", "AggregatorDatabaseDown", "AggregatorKafkaDown")
    service.redis.stop()
    watched.sees("AggregatorRedisDown")
    service.redis.start()
    wait_until("the end", lambda: not watched.holds("AggregatorRedisDown"))


def test_a_broken_handler(bare_service, scripts, watch):
    """The breaker opens before any of its events is rejected, and the topic waits."""
    handler = scripts / "handlers/essay_slot_assigned.lua"
    handler.write_text(handler.read_text().replace(
        "handle = function(event, view)\n", "handle = function(event, view)\n    error('on purpose')\n"))
    bare_service.start(SCRIPTS_ROOT=str(scripts))
    bare_service.wait_ready()
    watched = watch(bare_service)
    alerts = ("AggregatorBreakerOpen", "AggregatorTopicWaits", "AggregatorScriptErrors",
              "AggregatorLag", "AggregatorIngestionStalled")
    watched.quiet(*alerts)
    bare_service.feed("current")
    watched.sees(*alerts)
    shutil.copy(ROOT / "scripts/handlers/essay_slot_assigned.lua", handler)
    bare_service.program.command("reload")
    wait_until("the end", lambda: not watched.holds("AggregatorTopicWaits"))


def test_events_that_cannot_be_applied(service, watch):
    watched = watch(service)
    watched.quiet("AggregatorEventsRejected")
    service.feed("current-hard")
    watched.sees("AggregatorEventsRejected")


def test_kafka_down_with_messages_in_the_outbox(service, watch):
    watched = watch(service)
    watched.quiet("AggregatorKafkaDown", "AggregatorNotReady", "AggregatorOutboxStuck")
    service.kafka.stop()
    service.query("INSERT INTO aggregator_state.outbox (identity, topic, key, value, headers, fact_at, "
                  "source, scripts) VALUES ('fact', %s, 'key', 'x', '{}', now(), 'handlers/t', 'h')", TOPIC)
    watched.sees("AggregatorKafkaDown", "AggregatorOutboxStuck")


def test_the_database_refuses_connections(service, watch):
    name = service.database_url.rsplit("/", 1)[1]
    service.feed("current")
    service.wait_committed(len(read_records("current")))
    cached = status_path(service.query("SELECT batch_id FROM batch_results WHERE user_id IS NOT NULL LIMIT 1")[0][0])
    watched = watch(service)
    watched.quiet("AggregatorDatabaseDown", "AggregatorNotReady", "AggregatorRequestsFail")
    assert service.program.get(cached)[0] == 200
    cached_at = time.monotonic()
    admin = service.database_url.rsplit("/", 1)[0] + "/postgres"
    owner = type(service)(service.folder, service.build, service.kafka, admin, None, service.cleanup)
    connection = owner.query("SELECT 1") and owner
    connection.query(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    service.cleanup.callback(connection.query, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    connection.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", name)
    wait_until("failed requests", lambda: service.program.get(
        "/internal/v1/batches/user/nobody")[0] == 503)
    watched.sees("AggregatorDatabaseDown", "AggregatorNotReady")
    outbox = wait_until("the outbox' reason", lambda: service.program.ask("status")["outbox"]["error"])
    assert "127.0.0.1" not in outbox and name not in outbox and "\n" not in outbox

    def requests_fail():
        service.program.get("/internal/v1/batches/user/nobody")
        return watched.holds("AggregatorRequestsFail")
    wait_until("the condition of AggregatorRequestsFail", requests_fail)
    wait_until("longer than a response lives without Redis", lambda: time.monotonic() - cached_at > 2)
    assert service.program.get(cached)[0] == 200


def test_a_killed_process(service, watch):
    watched = watch(service)
    watched.quiet("AggregatorDown", "AggregatorMissing", "AggregatorRestarts")
    service.program.kill()
    watched.sees("AggregatorDown")
    for _ in range(3):
        service.program.start()
        wait_until("a scrape", lambda: not watched.holds("AggregatorDown"))
        service.program.kill()
        watched.sees("AggregatorDown")
    watched.sees("AggregatorRestarts")
