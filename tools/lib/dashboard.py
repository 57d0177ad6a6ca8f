#!/usr/bin/python3
"""dashboard: prints the Grafana dashboard, packaging/grafana/aggregator.json, from the table below.

    tools/lib/dashboard.py > packaging/grafana/aggregator.json

test_dashboard.py compares the file with the table and asks a Prometheus each query. A panel is
Panel(title, unit, description, (query, legend), …); $I selects the instances, $R is the interval of rates.
"""
import json

I, R = 'instance=~"$instance"', "$__rate_interval"
USERS = I + ',endpoint!~"healthz|readyz.*|metrics|openapi|server|admin.*|console.*"'
WIDTH, HEIGHT = 24, 8
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


class Panel:
    """width: of 24 columns. kind: a Grafana panel type. thresholds: (value, colour) from the least
    on. optional: the metric is absent where what it measures is not used."""

    def __init__(self, title, unit, description, *queries, width=8, kind="timeseries",
                 thresholds=None, optional=False, stacked=False, mappings=None):
        self.title, self.unit, self.description = title, unit, description
        self.queries, self.width, self.kind = queries, width, kind
        self.thresholds, self.optional, self.stacked = thresholds, optional, stacked
        self.mappings = mappings or {}


def fill(text):
    return text.replace("$USERS", USERS).replace("$I", I).replace("$R", R)


def rate(metric, labels="", by=""):
    selected = f"{metric}{{$I{',' if labels else ''}{labels}}}"
    return f"sum{f' by ({by})' if by else ''} (rate({selected}[$R]))"


def quantile(share, metric, by="", labels="$I"):
    by = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, sum by ({by}) (rate({metric}_bucket{{{labels}}}[$R])))"


def stat(title, unit, description, query, legend, thresholds, **options):
    return Panel(title, unit, description, (query, legend), width=3, kind="stat",
                 thresholds=thresholds, **options)


GOOD_AT_1 = ((None, "red"), (1, "green"))
YES = {"0": "no", "1": "yes"}

SECTIONS = [
    ("At a glance", [
        stat("Ready", "none", "/readyz of each process.", "min(ras_ready{$I})", "ready", GOOD_AT_1, mappings=YES),
        stat("Requests", "reqps", "Requests of users, without probes.",
             "sum(rate(ras_api_requests_total{$USERS}[$R]))", "", ((None, "blue"),)),
        stat("Failed", "percentunit", "Share of responses with a 5xx status.",
             'sum(rate(ras_api_requests_total{$USERS,status_code=~"5.."}[$R]) or vector(0)) / '
             "sum(rate(ras_api_requests_total{$USERS}[$R]))", "",
             ((None, "green"), (0.001, "orange"), (0.01, "red"))),
        stat("p99", "s", "99 % of the responses were faster.",
             quantile(0.99, "ras_api_request_duration_seconds", labels="$USERS"), "",
             ((None, "green"), (0.25, "orange"), (0.5, "red"))),
        stat("Behind by", "s", "Age of the oldest position of a topic whose records wait.",
             "max(ras_consumer_lag_seconds{$I})", "", ((None, "green"), (10, "orange"), (60, "red"))),
        stat("Events", "eps", "Events committed.", rate("ras_messages_processed_total"), "", ((None, "blue"),)),
        stat("Rejected in 1 h", "none", "Events that could not be applied.",
             "sum(increase(ras_rejected_messages_total{$I}[1h]))", "", ((None, "green"), (1, "orange"), (100, "red"))),
        stat("Outbox waits", "s", "Age of the oldest message that was not sent.",
             "max(ras_outbox_oldest_pending_seconds{$I})", "", ((None, "green"), (30, "orange"), (120, "red"))),
    ]),
    ("What users feel", [
        Panel("Requests by endpoint", "reqps", "", (
            "sum by (endpoint) (rate(ras_api_requests_total{$USERS}[$R]))", "{{endpoint}}"), stacked=True),
        Panel("Latency", "s", "Of users' requests, from the head to the response.",
              *((quantile(share, "ras_api_request_duration_seconds", labels="$USERS"), f"p{share * 100:g}")
                for share in (0.5, 0.9, 0.99, 0.999))),
        Panel("p99 by endpoint", "s", "", (
            quantile(0.99, "ras_api_request_duration_seconds", "endpoint", "$USERS"), "{{endpoint}}")),
        Panel("Responses by status", "reqps", "",
              ("sum by (status_code) (rate(ras_api_requests_total{$USERS}[$R]))", "{{status_code}}"), stacked=True),
        Panel("Errors", "reqps", "By kind; unavailable is a 503, internal a 500. A 404 is none.",
              (rate("ras_api_errors_total", by="endpoint, error_type"), "{{endpoint}} {{error_type}}")),
        Panel("401 and 503 by reason", "reqps", "operate/reasons.md explains each reason.",
              (rate("ras_api_unauthorized_total", by="reason"), "401 {{reason}}"),
              (rate("ras_api_unavailable_total", by="reason"), "503 {{reason}}")),
        Panel("Freshness", "s", "How far the view is behind each topic.",
              ("max by (topic) (ras_consumer_lag_seconds{$I})", "{{topic}}"), width=12),
        Panel("Connections", "none", "Of clients.",
              ("sum by (instance) (ras_http_connections{$I})", "{{instance}} open"),
              (rate("ras_http_connections_evicted_total"), "closed to make room /s"),
              (rate("ras_http_connections_refused_total"), "refused /s"),
              (rate("ras_http_request_timeouts_total"), "too slow /s"),
              (rate("ras_http_requests_abandoned_total"), "abandoned /s"), width=12),
    ]),
    ("Ingestion", [
        Panel("Events", "eps", "What became of the events of committed batches.",
              (rate("ras_messages_processed_total"), "committed"),
              (rate("ras_rejected_messages_total"), "rejected"),
              (rate("ras_ignored_messages_total"), "ignored"),
              (rate("ras_duplicate_messages_total"), "duplicate"),
              (rate("ras_superseded_messages_total"), "superseded"),
              (rate("ras_expired_messages_total"), "expired")),
        Panel("Lag", "none", "Records that wait, by topic.",
              ("sum by (topic) (ras_consumer_lag_messages{$I})", "{{topic}}"), stacked=True),
        Panel("Partitions", "none", "Read by each process.",
              ("sum by (instance) (ras_consumer_partitions{$I})", "{{instance}}"), stacked=True),
        Panel("Rejected by reason", "eps", "",
              (rate("ras_invalid_messages_total", by="topic, error_type"), "{{topic}} {{error_type}}")),
        Panel("Breakers and waiting topics", "none", "1: topics of the worker wait.",
              ("max by (instance, worker) (ras_breaker_open{$I})", "breaker {{instance}} {{worker}}"),
              ("max by (topic) (ras_ingest_waiting_topics{$I})", "waits {{topic}}")),
        Panel("Handling a read", "s", "Parsing, looking up and handling the events of one read.",
              (quantile(0.5, "ras_message_processing_duration_seconds"), "p50"),
              (quantile(0.99, "ras_message_processing_duration_seconds"), "p99")),
        Panel("Trouble", "none", "Failures to consume or commit; restarts of fetching; clients that were replaced; "
              "records deleted before they were read. In an hour.",
              ("sum(increase(ras_consumer_errors_total{$I}[1h]))", "errors"),
              ("sum(increase(ras_consumer_stalls_total{$I}[1h]))", "stalls"),
              ("sum(increase(ras_kafka_client_restarts_total{$I}[1h]) or vector(0))", "clients replaced"),
              ("sum(increase(ras_deleted_messages_total{$I}[1h]))", "deleted")),
    ]),
    ("Outbox and reactions", [
        Panel("Waiting", "none", "",
              ("max(ras_outbox_depth{$I})", "messages"), ("max(ras_reaction_marks{$I})", "keys for reactions"),
              ("max(ras_outbox_failed_messages{$I})", "refused by Kafka")),
        Panel("Age of the oldest", "s", "",
              ("max(ras_outbox_oldest_pending_seconds{$I})", "message"),
              ("max(ras_reaction_oldest_mark_seconds{$I})", "key for a reaction")),
        Panel("Publishing process", "none", "1: this process sends.",
              ("max by (instance) (ras_outbox_publishes{$I})", "{{instance}}")),
        Panel("Messages", "ops", "",
              (rate("ras_outbox_messages_total", by="outcome"), "stored: {{outcome}}"),
              (rate("ras_outbox_sent_total"), "sent"), (rate("ras_outbox_failed_total"), "refused"),
              (rate("ras_outbox_delayed_total"), "delayed"),
              ("sum(increase(ras_outbox_conflicts_total{$I}[1h]))", "conflicts in 1 h")),
        Panel("From commit to Kafka", "s", "",
              ("histogram_quantile(0.5, sum by (le) (increase(ras_outbox_publish_seconds_bucket{$I}[1h])))", "p50 of 1 h"),
              ("histogram_quantile(0.99, sum by (le) (increase(ras_outbox_publish_seconds_bucket{$I}[1h])))", "p99 of 1 h")),
        Panel("Reactions", "ops", "",
              (rate("ras_reaction_keys_total"), "keys"), (rate("ras_reaction_messages_total"), "messages"),
              (rate("ras_reaction_failures_total"), "failures")),
    ]),
    ("Retention", [
        Panel("Removed rows", "ops", "Rows that left the view; no data: no table has a retention.",
              (rate("ras_retention_removed_rows_total", by="table"), "{{table}}"), optional=True),
        Panel("Behind its schedule", "s", "Since when the horizon should have moved; 0: it has.",
              ("clamp_min(time() - max by (table) (ras_retention_next_move_timestamp_seconds{$I}), 0)", "{{table}}"),
              optional=True),
        Panel("Rows wait, failures", "none", "1: rows older than the horizon are there. Failures to remove them, in an hour.",
              ("min by (table) (ras_retention_unswept{$I})", "{{table}}"),
              ("sum(increase(ras_retention_failures_total{$I}[1h]))", "failures"), optional=True),
    ]),
    ("Database", [
        Panel("Statements", "ops", "", (rate("ras_db_operations_total", by="operation"), "{{operation}}"), stacked=True),
        Panel("p99 by statement", "s", "Of those that succeeded.",
              (quantile(0.99, "ras_db_operation_duration_seconds", "operation"), "{{operation}}")),
        Panel("Failed statements", "ops", "",
              ('sum by (operation) (rate(ras_db_operations_total{$I,status!="success"}[$R])) or vector(0)', "{{operation}}")),
        Panel("Commits", "s", "Transactions of ingestion.",
              (quantile(0.5, "ras_db_transaction_duration_seconds"), "p50"),
              (quantile(0.99, "ras_db_transaction_duration_seconds"), "p99")),
        Panel("Merge ratio", "percentunit", "Rows written for each merge that handlers asked for.",
              (rate("ras_rows_written_total") + " / " + rate("ras_merges_total"), "written / merged")),
        Panel("Connections", "none", "", ("sum(ras_db_connections{$I})", "all"),
              ("sum(ras_db_connections_active{$I})", "await a reply"), ("sum(ras_db_connections_idle{$I})", "idle")),
    ]),
    ("Dependencies, Redis and cache", [
        Panel("Dependencies", "none", "1: healthy, by the last check of /readyz.",
              ('min by (dependency) (ras_dependency_status{$I,status="healthy"})', "{{dependency}}"),
              kind="state-timeline", thresholds=GOOD_AT_1, mappings={"0": "not healthy", "1": "healthy"}),
        Panel("Redis refuses", "ops", "Commands, by reason: the ACL, memory, a replica …",
              ("sum by (reason) (rate(ras_redis_refusals_total{$I}[$R])) or vector(0)", "{{reason}}")),
        Panel("Ids of processed events", "bytes", "In Redis, of all processes: redis.seen_max_mb bounds them.",
              ("max(ras_redis_seen_bytes{$I}) or vector(0)", "all")),
        Panel("Cache hits", "percentunit", "Share of responses that came from a cache.",
              (rate("ras_cache_hits_total") + " / (" + rate("ras_cache_hits_total") + " + " +
               rate("ras_cache_misses_total") + ")", "hits")),
        Panel("Drops of the whole cache", "none", "In an hour, by reason.",
              ("sum by (reason) (increase(ras_cache_drops_total{$I}[1h]))", "{{reason}}"), width=12),
        Panel("Cached responses", "ops", "", (rate("ras_cache_hits_total"), "hits"),
              (rate("ras_cache_misses_total"), "computed"), (rate("ras_cache_damaged_total"), "damaged in Redis"), width=12),
    ]),
    ("Scripts", [
        Panel("Calls", "ops", "", ("sum by (script) (rate(ras_script_duration_seconds_count{$I}[$R]))", "{{script}}"), stacked=True),
        Panel("p99", "s", "", (quantile(0.99, "ras_script_duration_seconds", "script"), "{{script}}")),
        Panel("Failures", "ops", "", (rate("ras_script_errors_total", by="script"), "{{script}}")),
        Panel("Memory", "bytes", "Of the Lua state after the script's last call.",
              ("max by (script) (ras_script_memory_bytes{$I})", "{{script}}")),
        Panel("Lua states", "none", "If requests wait often, raise http.states.",
              ("sum by (instance) (ras_script_busy_states{$I})", "{{instance}} busy"),
              ("sum by (instance) (ras_script_waiting_requests{$I})", "{{instance}} requests wait"),
              ("sum(ras_stuck_scripts{$I})", "calls that hang")),
        Panel("Generations", "none", "",
              ("count by (hash) (ras_scripts_info{$I} == 1)", "processes with {{hash}}"),
              ("sum by (result) (increase(ras_script_reloads_total{$I}[1h]))", "reloads in 1 h: {{result}}")),
    ]),
    ("Process", [
        Panel("CPU", "percentunit", "1 is one processor.", (rate("process_cpu_seconds_total", by="instance"), "{{instance}}")),
        Panel("Memory", "bytes", "", ("process_resident_memory_bytes{$I}", "{{instance}}")),
        Panel("Memory of the limit", "percentunit", "Of the control group's limit; no data: it has none.",
              ("process_resident_memory_bytes{$I} / ras_memory_limit_bytes{$I}", "{{instance}}"), optional=True),
        Panel("Descriptors", "none", "", ("process_open_fds{$I}", "{{instance}}"), ("process_max_fds{$I}", "{{instance}} limit")),
        Panel("Threads", "none", "", ("process_threads{$I}", "{{instance}}")),
        Panel("Up since", "s", "A line that falls to 0 is a restart.",
              ("time() - process_start_time_seconds{$I}", "{{instance}}")),
        Panel("Versions", "none", "", ("count by (version) (ras_build_info{$I})", "{{version}}")),
        Panel("Certificates", "s", "Time left; no data: no listener has TLS.",
              ("ras_tls_certificate_expiry_timestamp_seconds{$I} - time()", "{{instance}} {{listener}}"),
              optional=True),
        Panel("TLS handshakes", "ops", "Failures by reason; no data: no listener has TLS.",
              ("sum by (listener, version) (rate(ras_tls_handshakes_total{$I}[$R]))", "{{listener}} {{version}}"),
              ("sum by (listener, reason) (rate(ras_tls_handshake_failures_total{$I}[$R]))",
               "{{listener}} failed: {{reason}}"), optional=True),
    ]),
]


def field_config(panel):
    config = {"unit": panel.unit}
    if panel.unit == "percentunit" and panel.kind == "timeseries":
        config["min"] = 0
    if panel.thresholds:
        config["thresholds"] = {"mode": "absolute", "steps": [
            {"value": value, "color": colour} for value, colour in panel.thresholds]}
        config["color"] = {"mode": "thresholds"}
    if panel.mappings:
        config["mappings"] = [{"type": "value", "options": {
            value: {"index": index, "text": text} for index, (value, text) in enumerate(panel.mappings.items())}}]
    if panel.kind == "timeseries":
        config["custom"] = {"lineWidth": 1, "fillOpacity": 15 if panel.stacked else 5, "showPoints": "never",
                            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"}}
    return {"defaults": config, "overrides": []}


def options_of(panel):
    if panel.kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                "colorMode": "background", "graphMode": "none", "textMode": "value"}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    if panel.kind == "state-timeline":
        return {"legend": legend, "showValue": "auto", "mergeValues": True}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def panel_json(number, panel, position):
    return {"id": number, "type": panel.kind, "title": panel.title, "description": panel.description,
            "datasource": DATA_SOURCE, "gridPos": position, "fieldConfig": field_config(panel),
            "options": options_of(panel),
            "targets": [{"refId": chr(ord("A") + index), "datasource": DATA_SOURCE, "expr": fill(query),
                         "legendFormat": legend or "__auto", "range": True}
                        for index, (query, legend) in enumerate(panel.queries)]}


def panels_json():
    number, y, made = 1, 0, []
    for title, panels in SECTIONS:
        made.append({"id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
                     "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}})
        number, y, x = number + 1, y + 1, 0
        height = 4 if panels[0].kind == "stat" else HEIGHT
        for panel in panels:
            if x + panel.width > WIDTH:
                x, y = 0, y + height
            made.append(panel_json(number, panel, {"x": x, "y": y, "w": panel.width, "h": height}))
            number, x = number + 1, x + panel.width
        y += height
    return made


def dashboard():
    variables = [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
         "current": {}, "hide": 0},
        {"name": "instance", "label": "Process", "type": "query", "datasource": DATA_SOURCE,
         "definition": "label_values(ras_build_info, instance)",
         "query": {"query": "label_values(ras_build_info, instance)", "refId": "instance"},
         "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": ".*",
         "current": {"text": ["All"], "value": ["$__all"]}, "hide": 0},
    ]
    restarts = {"name": "Starts", "enable": True, "iconColor": "blue", "datasource": DATA_SOURCE,
                "expr": fill("changes(process_start_time_seconds{$I}[1m]) > 0"), "titleFormat": "{{instance}} started"}
    return {"uid": "aggregator", "title": "aggregator", "tags": ["aggregator"], "schemaVersion": 37,
            "version": 1, "editable": True, "refresh": "30s", "time": {"from": "now-3h", "to": "now"},
            "timezone": "browser", "graphTooltip": 1, "templating": {"list": variables},
            "annotations": {"list": [restarts]}, "links": [], "panels": panels_json()}


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=1, ensure_ascii=False))
