/* pg_reads_report: metrics of the replicas, and what `aggregator status` shows of them. */
#include "base/json_put.h"
#include "pg_reads_private.h"

static const char *const result_names[READS_RESULTS] = {[READS_ANSWERED] = "answered",
                                                        [READS_WAITED] = "waited",
                                                        [READS_BEHIND] = "behind",
                                                        [READS_FAILED] = "failed"};

void reads_make_metrics(struct reads *reads) {
    struct metric *results = metric_family(
        METRIC_COUNTER, "ras_db_reads_total",
        "Reads of routes by server and result, while postgres.read_urls is set: `answered`, "
        "`waited` (answered after it caught up), `behind` and `failed` (another server was asked); "
        "of the primary `answered` (no replica could) and `unproven` (it is not known what was "
        "announced).",
        "server,result");
    struct metric *used =
        metric_family(METRIC_GAUGE, "ras_db_replica_used",
                      "1: the replica answers reads; 0: it is away, or too far behind.", "server");
    struct metric *behind = metric_family(METRIC_GAUGE, "ras_db_replica_behind_bytes",
                                          "WAL that the replica has not replayed.", "server");
    reads->answered = metric_cell(results, "primary", "answered");
    reads->unproven = metric_cell(results, "primary", "unproven");
    for (size_t i = 0; i < reads->count; i++) {
        struct reads_server *server = &reads->servers[i];
        for (int result = 0; result < READS_RESULTS; result++) {
            server->results[result] = metric_cell(results, server->name, result_names[result]);
        }
        server->used = metric_cell(used, server->name);
        server->behind_bytes = metric_cell(behind, server->name);
    }
}

/* -1: unknown. */
static int64_t reads_report_behind(const struct reads *reads, const struct reads_server *server) {
    if (server->is_away || server->at.timeline != reads->newest.timeline) {
        return -1;
    }
    return server->at.lsn < reads->newest.lsn ? (int64_t)(reads->newest.lsn - server->at.lsn) : 0;
}

void reads_show_server(const struct reads *reads, const struct reads_server *server) {
    int64_t behind = reads_report_behind(reads, server);
    metric_set(server->used, !server->is_away && !server->is_late);
    if (behind >= 0) {
        metric_set(server->behind_bytes, (double)behind);
    }
}

static void reads_report_put_behind(struct buffer *json, int64_t bytes) {
    if (bytes >= 0) {
        json_put_int(json, "behind_bytes", bytes);
    } else {
        json_put_name(json, "behind_bytes");
        buffer_append_text(json, "null");
    }
}

void pg_reads_report(struct buffer *json) {
    struct reads *reads = reads_present;
    if (!reads) {
        json_put_name(json, "reads");
        buffer_append_text(json, "null");
        return;
    }
    json_open(json, "reads", "[");
    thread_lock(&reads->thread);
    for (size_t i = 0; i < reads->count; i++) {
        const struct reads_server *server = &reads->servers[i];
        const char *state = server->is_away            ? "away"
                            : server->at.timeline == 0 ? "unknown"
                            : server->is_late          ? "behind"
                                                       : "used";
        json_open(json, NULL, "{");
        json_put_text(json, "server", slice_of(server->name));
        json_put_text(json, "state", slice_of(state));
        reads_report_put_behind(json, reads_report_behind(reads, server));
        json_put_text(json, "error", slice_of(server->error[0] ? server->error : NULL));
        buffer_append_text(json, "}");
    }
    thread_unlock(&reads->thread);
    buffer_append_text(json, "]");
}
