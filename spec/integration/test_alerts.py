"""The alert rules: promtool evaluates each with the metrics of its fault, and with those of a
process that works. test_alert_faults.py makes the main faults and looks at the metrics."""
import functools
import json
import re
import subprocess

import pytest
import yaml
from stack import ROOT

RULES = ROOT / "packaging/prometheus/aggregator.rules.yml"
RUNBOOK = ROOT / "docs/operate/alerts.md"
INSTALLED = "file:///usr/share/doc/aggregator/operate/alerts.md#"
A = {"instance": "a"}
JOB = {"instance": "a", "job": "aggregator"}
LISTENER = {"instance": "a", "listener": "api"}
TOPIC = {"instance": "a", "topic": "T"}
DAY_S = 86400
ROOT_TABLE = {"table": "batch_results"}
ALSO = {"AggregatorMissing": ["AggregatorDown"]}  # alerts that may fire in the case of this one
LATE = {"AggregatorRetentionBehind": 25 * 60}  # minutes until an alert of such patience is looked at


def steady(metric, labels, value, minutes=30):
    return series(metric, labels, f"{value}x{minutes}")


def growing(metric, labels, each_minute):
    return series(metric, labels, f"0+{each_minute}x30")


def series(metric, labels, values):
    said = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return {"series": f"{metric}{{{said}}}", "values": values}


def dependency(name, status, value):
    return [steady("ras_dependency_status", {**JOB, "dependency": name, "status": status}, value)]


def requests(ok, failed):
    return [growing("ras_api_requests_total", {**A, "endpoint": "batch", "status_code": "200"}, ok),
            growing("ras_api_requests_total", {**A, "endpoint": "batch", "status_code": "503"}, failed),
            *(growing("ras_api_requests_total", {**A, "endpoint": name, "status_code": "503"}, 900)
              for name in ("readyz", "readyz_read", "admin_reload", "console"))]


def slow(share):
    """Requests of which this share takes 0.75 to 1 s."""
    labels = {**A, "endpoint": "batch"}
    return [growing("ras_api_request_duration_seconds_bucket", {**labels, "le": le}, count)
            for le, count in (("0.1", 600 * (1 - share)), ("0.75", 600 * (1 - share)), ("1", 600),
                              ("+Inf", 600))]


def counter(metric, each_minute, **labels):
    return [growing(metric, {**JOB, **labels}, each_minute)]


def gauge(metric, value, **labels):
    return [steady(metric, {**JOB, **labels}, value)]


def rejections(rejected):
    return counter("ras_rejected_messages_total", rejected) + \
        counter("ras_messages_processed_total", 100)


def stalled(waiting, each_minute):
    return [steady("ras_consumer_lag_messages", {**A, "topic": "T", "partition": "0"}, waiting),
            growing("ras_messages_processed_total", A, each_minute),
            growing("ras_duplicate_messages_total", A, 0)]


def expired(each_minute):
    return counter("ras_expired_messages_total", each_minute) + \
        counter("ras_messages_processed_total", 100)


def unswept(value):
    """Of a process that sweeps, and of one that has seen it the hour before."""
    return [steady("ras_retention_unswept", {"instance": name, **ROOT_TABLE}, shown, LATE["AggregatorRetentionBehind"])
            for name, shown in (("a", 1), ("b", value))]


def hashes(*running):
    return [steady("ras_scripts_info", {"instance": str(number), "hash": name}, 1)
            for number, name in enumerate(running)]


# (alert, metrics of the fault, metrics without it, {severity: labels of the alert}, its value)
CASES = [
    ("AggregatorDown", gauge("up", 0), gauge("up", 1), {"critical": JOB}, ""),
    ("AggregatorMissing", [steady("up", {"job": "other"}, 1)], gauge("up", 0),
     {"critical": {"job": "aggregator"}}, ""),
    ("AggregatorNotReady", gauge("ras_ready", 0), gauge("ras_ready", 1), {"critical": JOB}, ""),
    ("AggregatorRestarts", counter("process_start_time_seconds", 60),
     gauge("process_start_time_seconds", 1.7e9), {"critical": JOB}, "15"),
    ("AggregatorMemoryNearLimit",
     gauge("process_resident_memory_bytes", 95) + gauge("ras_memory_limit_bytes", 100),
     gauge("process_resident_memory_bytes", 89) + gauge("ras_memory_limit_bytes", 100),
     {"warning": JOB}, "95%"),
    ("AggregatorDescriptorsNearLimit",
     gauge("process_open_fds", 95) + gauge("process_max_fds", 100),
     gauge("process_open_fds", 89) + gauge("process_max_fds", 100), {"warning": JOB}, "95%"),
    ("AggregatorCertificateExpires",
     gauge("ras_tls_certificate_expiry_timestamp_seconds", 20 * DAY_S, listener="api"),
     gauge("ras_tls_certificate_expiry_timestamp_seconds", 22 * DAY_S, listener="api"),
     {"warning": {**JOB, **LISTENER}}, "19d 23h 40m 0s"),
    ("AggregatorCertificateExpires",
     gauge("ras_tls_certificate_expiry_timestamp_seconds", 2 * DAY_S, listener="api"),
     gauge("ras_tls_certificate_expiry_timestamp_seconds", 22 * DAY_S, listener="api"),
     {"warning": {**JOB, **LISTENER}, "critical": {**JOB, **LISTENER}}, "1d 23h 40m 0s"),
    ("AggregatorDatabaseDown", dependency("database", "unhealthy", 1),
     dependency("database", "unhealthy", 0), {"critical": {
         **JOB, "dependency": "database", "status": "unhealthy"}}, ""),
    ("AggregatorDatabaseDegraded", dependency("database", "degraded", 1),
     dependency("database", "degraded", 0), {"warning": {
         **JOB, "dependency": "database", "status": "degraded"}}, ""),
    ("AggregatorReplicaUnused", gauge("ras_db_replica_used", 0, server="db2:5432"),
     gauge("ras_db_replica_used", 1, server="db2:5432"),
     {"warning": {**JOB, "server": "db2:5432"}}, ""),
    ("AggregatorRedisDown", dependency("redis", "degraded", 1), dependency("redis", "degraded", 0),
     {"warning": {**JOB, "dependency": "redis", "status": "degraded"}}, ""),
    ("AggregatorSeenIdsSkipped", counter("ras_redis_seen_skipped_total", 1),
     counter("ras_redis_seen_skipped_total", 0), {"warning": JOB}, "15"),
    ("AggregatorKafkaDown", gauge("ras_dependency_up", 0, dependency="kafka"),
     gauge("ras_dependency_up", 1, dependency="kafka"),
     {"critical": {**JOB, "dependency": "kafka"}}, ""),
    ("AggregatorLag", gauge("ras_consumer_lag_seconds", 75, topic="T", partition="0"),
     gauge("ras_consumer_lag_seconds", 59, topic="T", partition="0"), {"warning": TOPIC}, "1m 15s"),
    ("AggregatorLag", gauge("ras_consumer_lag_seconds", 960, topic="T", partition="0"),
     gauge("ras_consumer_lag_seconds", 59, topic="T", partition="0"),
     {"warning": TOPIC, "critical": TOPIC}, "16m 0s"),
    ("AggregatorIngestionStalled", stalled(7, 0), stalled(7, 1), {"critical": A}, "7"),
    ("AggregatorIngestionStalled", stalled(7, 0), stalled(0, 0), {"critical": A}, "7"),
    ("AggregatorBreakerOpen", gauge("ras_breaker_open", 1, worker="0"),
     gauge("ras_breaker_open", 0, worker="0"), {"critical": A}, ""),
    ("AggregatorTopicWaits", gauge("ras_ingest_waiting_topics", 1, worker="0", topic="T"),
     gauge("ras_ingest_waiting_topics", 0, worker="0", topic="T"), {"warning": TOPIC}, ""),
    ("AggregatorEventsRejected", rejections(2), rejections(0.5), {"warning": JOB}, "30"),
    ("AggregatorEventsDeleted", counter("ras_deleted_messages_total", 1),
     counter("ras_deleted_messages_total", 0), {"critical": JOB}, "20"),
    ("AggregatorRequestsFail", requests(950, 50), requests(995, 5), {"warning": A}, "5%"),
    ("AggregatorRequestsFail", requests(800, 200), requests(1000, 0),
     {"warning": A, "critical": A}, "20%"),
    ("AggregatorRequestsSlow", slow(0.02), slow(0.005),
     {"warning": {**A, "endpoint": "batch"}}, "875ms"),
    ("AggregatorRequestsUnauthorized", counter("ras_api_unauthorized_total", 60),
     counter("ras_api_unauthorized_total", 6), {"warning": A}, "1"),
    ("AggregatorConnectionsRefused", counter("ras_http_connections_refused_total", 1),
     counter("ras_http_connections_refused_total", 0), {"warning": JOB}, "5"),
    ("AggregatorCacheDrops", counter("ras_cache_drops_total", 1, reason="unsure"),
     counter("ras_cache_drops_total", 0.1, reason="unsure"),
     {"warning": {**A, "reason": "unsure"}}, "20"),
    ("AggregatorScriptErrors", counter("ras_script_errors_total", 1, script="routes/x"),
     counter("ras_script_errors_total", 0.4, script="routes/x"),
     {"warning": {**JOB, "script": "routes/x"}}, "10"),
    ("AggregatorScriptStuck", gauge("ras_stuck_scripts", 1), gauge("ras_stuck_scripts", 0),
     {"critical": JOB}, "1"),
    ("AggregatorScriptsDisagree", hashes("x", "y"), hashes("x", "x"), {"warning": {}}, "2"),
    ("AggregatorReloadFailed", counter("ras_script_reloads_total", 1, result="failed"),
     counter("ras_script_reloads_total", 1, result="done"),
     {"warning": {**A, "result": "failed"}}, ""),
    ("AggregatorOutboxStuck", gauge("ras_outbox_oldest_pending_seconds", 130),
     gauge("ras_outbox_oldest_pending_seconds", 100), {"critical": {}}, "2m 10s"),
    ("AggregatorOutboxUnattended", gauge("ras_outbox_publishes", 0),
     [steady("ras_outbox_publishes", {"instance": "a"}, 0),
      steady("ras_outbox_publishes", {"instance": "b"}, 1)], {"critical": {}}, ""),
    ("AggregatorOutboxRefused", gauge("ras_outbox_failed_messages", 3),
     gauge("ras_outbox_failed_messages", 0), {"warning": {}}, "3"),
    ("AggregatorOutboxConflict", counter("ras_outbox_conflicts_total", 1),
     counter("ras_outbox_conflicts_total", 0), {"warning": JOB}, "15"),
    ("AggregatorReactionStuck", gauge("ras_reaction_oldest_mark_seconds", 130),
     gauge("ras_reaction_oldest_mark_seconds", 100), {"critical": {}}, "2m 10s"),
    ("AggregatorReactionFailures", counter("ras_reaction_failures_total", 1),
     counter("ras_reaction_failures_total", 0), {"warning": A}, "15"),
    ("AggregatorRetentionFails", counter("ras_retention_failures_total", 1),
     counter("ras_retention_failures_total", 0.1), {"warning": A}, "15"),
    ("AggregatorRetentionStopped",
     gauge("ras_retention_next_move_timestamp_seconds", -2 * DAY_S, **ROOT_TABLE),
     gauge("ras_retention_next_move_timestamp_seconds", -2 * DAY_S, **ROOT_TABLE) + [
         steady("ras_retention_next_move_timestamp_seconds", {"instance": "b", **ROOT_TABLE}, 0)],
     {"warning": ROOT_TABLE}, "2d 0h 20m 0s"),
    ("AggregatorRetentionBehind", unswept(1), unswept(0), {"warning": ROOT_TABLE}, ""),
    ("AggregatorEventsExpired", expired(2), expired(0.5), {"warning": JOB}, "30"),
]


@functools.cache
def rules():
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def annotations(rule, labels, value):
    def fill(text):
        text = re.sub(r"{{ \$labels\.(\w+) }}", lambda match: labels[match[1]], text)
        return re.sub(r"{{ \$value[^}]*}}", value, text)
    return {name: fill(text) for name, text in rule["annotations"].items()}


def expected_alerts(alert, severities, value):
    return [{"exp_labels": {**labels, "severity": rule["labels"]["severity"]},
             "exp_annotations": annotations(rule, labels, value)}
            for rule in rules() if rule["alert"] == alert
            for severity, labels in severities.items() if rule["labels"]["severity"] == severity]


def evaluation(alert, minute, expected):
    return {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": expected}


def scenario(name, inputs, alert, expected):
    minute = LATE.get(alert, 20)
    has_up = any(one["series"].startswith("up{") for one in inputs)
    scraped = [] if has_up else [steady("up", JOB, 1, minute)]
    others = {rule["alert"] for rule in rules()} - {alert} - set(ALSO.get(alert, ()))
    return {"name": name, "interval": "1m", "input_series": inputs + scraped, "alert_rule_test": [
        evaluation(alert, minute, expected), *(evaluation(one, minute, []) for one in sorted(others))]}


def run_promtool(*arguments):
    ran = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True,
                         check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_rules_are_valid():
    run_promtool("check", "rules", "--lint-fatal", RULES)


@pytest.mark.parametrize("fault", [True, False], ids=["the fault", "no fault"])
def test_each_alert_fires_on_its_fault_alone(tmp_path, fault):
    tests = [scenario(f"{alert} {severities.keys()}", broken if fault else whole, alert,
                      expected_alerts(alert, severities, value) if fault else [])
             for alert, broken, whole, severities, value in CASES]
    path = tmp_path / "alerts.test.yml"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m",
                                "tests": tests}))
    run_promtool("test", "rules", path)


def test_no_alert_fires_on_one_scrape():
    """It waits, or its expression covers a time. Of the others no scrape is one too early."""
    at_once = [rule["alert"] for rule in rules() if "for" not in rule and "[" not in rule["expr"]]
    assert at_once == ["AggregatorCertificateExpires", "AggregatorScriptStuck", "AggregatorOutboxRefused"]


def test_each_alert_has_a_case():
    assert {(rule["alert"], rule["labels"]["severity"]) for rule in rules()} == \
        {(alert, severity) for alert, _, _, severities, _ in CASES for severity in severities}


def test_every_metric_of_an_alert_is_one_of_the_program():
    """By its source: some are exposed only where TLS, a replica or a retention is configured."""
    sources = [path.read_text() for folder in ("host", "bindings") for path in (ROOT / folder).rglob("*.c")]
    exposed = {name for text in sources for name in re.findall(r'"(ras_\w+)"', text)}
    named = {re.sub(r"_bucket$", "", name) for rule in rules() for name in re.findall(r"\bras_\w+", rule["expr"])}
    assert len(named) > 30 and named - exposed == set()


def test_each_alert_has_its_section_in_the_runbook():
    headings = re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    alerts = list(dict.fromkeys(rule["alert"] for rule in rules()))
    assert headings == alerts
    for rule in rules():
        assert rule["annotations"]["runbook_url"] == INSTALLED + rule["alert"].lower()
