/* pg: groups of statements and their results. The queue keeps the sent items in order, because
 * libpq does not tell which statement a result belongs to. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/request_steps.h"
#include "pg_metrics.h"
#include "pg_connection.h"

#define SLOW_US 50000 /* many times what a query by its keys takes */

bool pg_send(struct pg *pg, const char *name, const char *sql, const struct pg_params *params,
             bool binary_result, struct err *err) {
    if (!pg_connected(pg)) {
        return pg_lose(pg, err);
    }
    if (pg->synced) {
        return err_set(err, ERR_INTERNAL, "%s: sent while a group is in progress", name);
    }
    if (pg->options.replaced) {
        buffer_clear(&pg->replaced_sql);
        buffer_append_replaced(&pg->replaced_sql, sql, pg->options.replaced,
                               pg->options.replacement);
        sql = pg->replaced_sql.data;
    }
    return pg_send_statement(pg, name, sql, params, binary_result) || pg_lose(pg, err);
}

bool pg_sync(struct pg *pg, struct err *err) {
    if (!pg_connected(pg)) {
        return pg_lose(pg, err);
    }
    if (pg->synced) {
        return true;
    }
    if (PQpipelineSync(pg->conn) != 1) {
        return pg_lose(pg, err);
    }
    pg_push(pg, PG_ITEM_SYNC, NULL);
    pg->synced = true;
    int left = PQflush(pg->conn);
    pg->flushing = left > 0;
    return left >= 0 || pg_lose(pg, err);
}

/* ---- results ------------------------------------------------------------------------------ */

/* Ends the group; the connection stays, unless its statements are void at the pooler. */
static enum pg_progress pg_end_group(struct pg *pg, struct err *err) {
    bool failed = pg->first.kind != ERR_NONE;
    if (failed) {
        *err = pg->first;
    }
    if (pg->void_at_pooler) {
        pg_disconnect(pg);
    }
    pg_clear_group(pg);
    return failed ? PG_FAILED : PG_DONE;
}

static void pg_note_error(struct pg *pg, struct pg_item *item, const PGresult *result) {
    struct pg_statement *statement = item->statement;
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    bool was_ready = statement->state == PG_STATEMENT_READY;
    bool stale = sqlstate && was_ready && statement->server_name[0] &&
                 (strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "26000") == 0);
    if (item->kind == PG_ITEM_PREPARE || stale) {
        statement->state = PG_STATEMENT_FORGOTTEN;
    }
    if (stale && pg->pooled) {
        pg_pooler_note_stale(pg, strcmp(sqlstate, "26000") == 0);
    }
    if (pg->first.kind != ERR_NONE) {
        return;
    }
    pg_note_result(pg, &pg->first, result);
    pg_note_mistake(pg, statement->sql, result);
    /* The table was altered after the statement was prepared: a retry prepares it again. */
    if (stale && !statement->fresh) {
        pg->first.kind = ERR_UNAVAILABLE;
    }
    err_wrap(&pg->first, "%.64s", statement->name);
}

/* True if the result was kept by the caller of pg_query. */
static bool pg_take_result(struct pg *pg, struct pg_item *item, PGresult *result,
                           pg_on_result on_result, void *context) {
    struct pg_statement *statement = item->statement;
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        break;
    case PGRES_PIPELINE_ABORTED:
        if (item->kind == PG_ITEM_PREPARE) {
            statement->state = PG_STATEMENT_FORGOTTEN;
        }
        return false;
    default:
        pg_note_error(pg, item, result);
        return false;
    }
    if (item->kind == PG_ITEM_PREPARE) {
        statement->state = PG_STATEMENT_READY;
        statement->fresh = true;
        return false;
    }
    statement->fresh = false;
    if (item->kind == PG_ITEM_SETTINGS) {
        pg_note_session(pg, result);
        return false;
    }
    if (pg->first.kind != ERR_NONE) {
        return false;
    }
    if (pg->keep && !*pg->keep) {
        *pg->keep = result;
        return true;
    }
    if (on_result && !on_result(context, item->index, result, &pg->first) &&
        pg->first.kind == ERR_NONE) {
        err_set(&pg->first, ERR_INTERNAL, "%.64s: the result cannot be used", statement->name);
    }
    return false;
}

/* False: results and queue differ; drop the connection. */
static bool pg_drain(struct pg *pg, pg_on_result on_result, void *context, bool *ended) {
    while (pg->item_next < pg->item_count && !PQisBusy(pg->conn)) {
        struct pg_item *item = &pg->items[pg->item_next];
        PGresult *result = PQgetResult(pg->conn);
        if (!result) { /* the end of one statement */
            if (!item->answered) {
                return false;
            }
            pg->item_next++;
            continue;
        }
        bool is_sync = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
        if (is_sync || item->kind == PG_ITEM_SYNC || item->answered) {
            bool in_step = is_sync && item->kind == PG_ITEM_SYNC;
            if (!is_sync && pg->first.kind == ERR_NONE) {
                pg_note_result(pg, &pg->first, result); /* the last error of a stopping server */
            }
            PQclear(result);
            *ended = in_step;
            return in_step;
        }
        item->answered = true;
        if (!pg_take_result(pg, item, result, on_result, context)) {
            PQclear(result);
        }
    }
    return true;
}

enum pg_progress pg_progress(struct pg *pg, pg_on_result on_result, void *context,
                             struct err *err) {
    if (!pg_connected(pg)) {
        pg_lose(pg, err);
        return PG_FAILED;
    }
    if (pg->item_count == 0) {
        return PG_DONE;
    }
    int left = PQflush(pg->conn);
    pg->flushing = left > 0;
    /* Results and an error that the server sent before it closed the connection are read first. */
    bool alive = PQconsumeInput(pg->conn) == 1 && left >= 0;
    bool ended = false;
    bool in_step = pg_drain(pg, on_result, context, &ended);
    if (ended) {
        return pg_end_group(pg, err);
    }
    if (!alive || !in_step || PQstatus(pg->conn) != CONNECTION_OK) {
        pg_lose(pg, err);
        return PG_FAILED;
    }
    return PG_PENDING;
}

short pg_poll_events(const struct pg *pg) {
    return (short)(POLLIN | (pg->flushing ? POLLOUT : 0));
}

/* False: the deadline has passed; drops the connection. */
static bool pg_wait_socket(struct pg *pg, int64_t deadline_us, struct err *err) {
    struct pollfd fd = {PQsocket(pg->conn), pg_poll_events(pg), 0};
    int ready = poll(&fd, 1, clock_remaining_ms(deadline_us));
    if (ready > 0 || (ready < 0 && errno == EINTR) || clock_remaining_ms(deadline_us) > 0) {
        return true;
    }
    pg_disconnect(pg); /* a late result would belong to the wrong statement */
    return err_set(err, ERR_TIMEOUT, "Postgres did not answer in time");
}

bool pg_finish(struct pg *pg, int timeout_ms, pg_on_result on_result, void *context,
               struct err *err) {
    int64_t deadline_us = clock_monotonic_us() + timeout_ms * 1000LL;
    if (!pg_sync(pg, err)) {
        return false;
    }
    for (;;) {
        enum pg_progress progress = pg_progress(pg, on_result, context, err);
        if (progress != PG_PENDING) {
            return progress == PG_DONE;
        }
        if (!pg_wait_socket(pg, deadline_us, err)) {
            return false;
        }
    }
}

static bool pg_run_query(struct pg *pg, const char *name, const char *sql,
                         const struct pg_params *params, int timeout_ms, PGresult **result,
                         struct err *err) {
    PGresult *kept = NULL;
    if (result) {
        *result = NULL;
    }
    if (!pg_send(pg, name, sql, params, false, err)) {
        return false;
    }
    pg->keep = &kept;
    bool ok = pg_finish(pg, timeout_ms, NULL, NULL, err);
    pg->keep = NULL;
    if (ok && result) {
        *result = kept;
    } else {
        PQclear(kept);
    }
    return ok;
}

bool pg_query(struct pg *pg, const char *name, const char *sql, const struct pg_params *params,
              int timeout_ms, PGresult **result, struct err *err) {
    int64_t began_us = clock_monotonic_us();
    bool ok = pg_run_query(pg, name, sql, params, timeout_ms, result, err);
    pg->slow |= clock_monotonic_us() - began_us >= SLOW_US;
    request_steps_add(REQUEST_DATABASE, began_us);
    if (!pg->options.uncounted) {
        pg_metrics_count(name, ok, began_us);
    }
    return ok;
}

/* ---- scripts ------------------------------------------------------------------------------ */

static void pg_note_script_error(struct pg *pg, const char *sql, const PGresult *result) {
    if (pg->first.kind != ERR_NONE) {
        return;
    }
    pg_note_result(pg, &pg->first, result);
    pg_note_mistake(pg, sql, result);
    if (pg->mistake.line > 0) {
        err_wrap(&pg->first, "line %d", pg->mistake.line);
    }
}

static bool pg_run_script(struct pg *pg, const char *sql, int64_t deadline_us, struct err *err) {
    if (PQsendQuery(pg->conn, sql) != 1) {
        return pg_lose(pg, err);
    }
    for (;;) {
        int left = PQflush(pg->conn);
        pg->flushing = left > 0;
        bool alive = PQconsumeInput(pg->conn) == 1 && left >= 0;
        while (!PQisBusy(pg->conn)) {
            PGresult *result = PQgetResult(pg->conn);
            if (!result) {
                return PQstatus(pg->conn) == CONNECTION_OK || pg_lose(pg, err);
            }
            ExecStatusType status = PQresultStatus(result);
            if (status == PGRES_FATAL_ERROR) {
                pg_note_script_error(pg, sql, result);
            }
            PQclear(result);
            if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
                pg_disconnect(pg);
                return err_set(err, ERR_INPUT, "COPY to or from the client is not allowed");
            }
        }
        if (!alive) {
            return pg_lose(pg, err);
        }
        if (!pg_wait_socket(pg, deadline_us, err)) {
            return false;
        }
    }
}

bool pg_script(struct pg *pg, const char *sql, int timeout_ms, struct err *err) {
    if (!pg_connected(pg)) {
        return pg_lose(pg, err);
    }
    /* Several statements need the simple protocol, which pipeline mode excludes. */
    if (pg->item_count > 0 || PQexitPipelineMode(pg->conn) != 1) {
        return err_set(err, ERR_INTERNAL, "a script was sent while a group is in progress");
    }
    if (!pg_run_script(pg, sql, clock_monotonic_us() + timeout_ms * 1000LL, err)) {
        return false;
    }
    if (PQenterPipelineMode(pg->conn) != 1) {
        return pg_lose(pg, err);
    }
    return pg_end_group(pg, err) == PG_DONE;
}
