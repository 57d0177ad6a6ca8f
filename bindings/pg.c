/* pg: statements and pipelines. The queue keeps the sent items in order, because libpq does not
 * tell which statement a result belongs to. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "pg_metrics.h"
#include "base/xalloc.h"
#include "pg_connection.h"
#include "pg_params.h"

#define SLOW_US 50000 /* many times what a query by its keys takes */

/* ---- statements --------------------------------------------------------------------------- */

/* NULL and text fit any parsed type, a binary value only its own. */
static bool pg_types_fit(const struct pg_statement *statement, const struct pg_params *params) {
    size_t count = params ? params->count : 0;
    if (statement->type_count != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (params->types[i] != 0 && params->types[i] != statement->types[i]) {
            return false;
        }
    }
    return true;
}

/* `whole`: sent as text each time; otherwise prepared on the server. */
static struct pg_statement *pg_find_statement(struct pg *pg, bool whole, const char *name,
                                              const char *sql, const struct pg_params *params) {
    for (size_t i = 0; i < pg->statement_count; i++) {
        struct pg_statement *statement = pg->statements[i];
        if (statement->state != PG_STATEMENT_FORGOTTEN && !statement->server_name[0] == whole &&
            strcmp(statement->name, name) == 0 && strcmp(statement->sql, sql) == 0 &&
            pg_types_fit(statement, params)) {
            return statement;
        }
    }
    return NULL;
}

static void pg_push(struct pg *pg, enum pg_item_kind kind, struct pg_statement *statement) {
    if (pg->item_count == pg->item_cap) {
        pg->item_cap = pg->item_cap ? pg->item_cap * 2 : 32;
        pg->items = xrealloc(pg->items, pg->item_cap * sizeof *pg->items);
    }
    pg_count_active(pg, true);
    size_t index = kind == PG_ITEM_STATEMENT ? pg->group_size++ : 0;
    pg->items[pg->item_count++] = (struct pg_item){kind, statement, index, false};
}

/* Unique by process, connection and number: a pooler's other clients share the server's names. */
static void pg_name_on_server(struct pg *pg, struct pg_statement *statement) {
    snprintf(statement->server_name, sizeof statement->server_name, "agg_%s_%u_%u",
             pg_process_mark(), pg->connection_number, ++pg->serial);
}

static struct pg_statement *pg_add_statement(struct pg *pg, const char *name, const char *sql,
                                             const struct pg_params *params) {
    size_t count = params ? params->count : 0;
    struct pg_statement *statement = xcalloc(1, sizeof *statement);
    statement->name = xstrdup(name);
    statement->sql = xstrdup(sql);
    statement->type_count = count;
    statement->types = xcalloc(count + 1, sizeof *statement->types);
    if (count > 0) {
        memcpy(statement->types, params->types, count * sizeof *statement->types);
    }
    pg->statements =
        xrealloc(pg->statements, (pg->statement_count + 1) * sizeof(struct pg_statement *));
    pg->statements[pg->statement_count++] = statement;
    return statement;
}

static struct pg_statement *pg_prepare(struct pg *pg, const char *name, const char *sql,
                                       const struct pg_params *params) {
    size_t count = params ? params->count : 0;
    struct pg_statement *statement = pg_add_statement(pg, name, sql, params);
    pg_name_on_server(pg, statement);
    if (PQsendPrepare(pg->conn, statement->server_name, sql, (int)count, statement->types) != 1) {
        return NULL;
    }
    pg_push(pg, PG_ITEM_PREPARE, statement);
    return statement;
}

static bool pg_send_prepared(struct pg *pg, const char *name, const char *sql,
                             const struct pg_params *params, bool binary_result) {
    struct pg_statement *statement = pg_find_statement(pg, false, name, sql, params);
    if (!statement && !(statement = pg_prepare(pg, name, sql, params))) {
        return false;
    }
    if (PQsendQueryPrepared(pg->conn, statement->server_name, params ? (int)params->count : 0,
                            params ? pg_params_values(params) : NULL,
                            params ? params->lengths : NULL, params ? params->formats : NULL,
                            binary_result) != 1) {
        return false;
    }
    pg_push(pg, PG_ITEM_STATEMENT, statement);
    return true;
}

/* ---- sent whole: with a comment, or behind a pooler ---------------------------------------- */

void pg_set_comment(struct pg *pg, const char *comment) {
    pg->comment = comment;
}

/* The comment needs its own line: the statement may end in a line comment. */
static bool pg_send_text(struct pg *pg, const char *sql, const struct pg_params *params,
                         bool binary_result) {
    struct buffer commented = {0};
    if (pg->comment) {
        buffer_append_text(&commented, sql);
        buffer_append_text(&commented, "\n");
        buffer_append_text(&commented, pg->comment);
    }
    int sent = PQsendQueryParams(
        pg->conn, commented.data ? commented.data : sql, params ? (int)params->count : 0,
        params ? params->types : NULL, params ? pg_params_values(params) : NULL,
        params ? params->lengths : NULL, params ? params->formats : NULL, binary_result);
    buffer_free(&commented);
    return sent == 1;
}

static bool pg_send_unnamed(struct pg *pg, enum pg_item_kind kind, const char *name,
                            const char *sql, const struct pg_params *params, bool binary_result) {
    struct pg_statement *statement = pg_find_statement(pg, true, name, sql, params);
    if (!statement) {
        statement = pg_add_statement(pg, name, sql, params);
        statement->state = PG_STATEMENT_READY;
    }
    if (!pg_send_text(pg, sql, params, binary_result)) {
        return false;
    }
    pg_push(pg, kind, statement);
    return true;
}

bool pg_send_settings(struct pg *pg) {
    return pg_send_unnamed(pg, PG_ITEM_SETTINGS, "pg session", pg_settings_sql, pg->settings,
                           false);
}

/* Sends the settings in each transaction: before a single group, or after BEGIN, which may set the
 * isolation level and so must come first. */
static bool pg_send_whole(struct pg *pg, const char *name, const char *sql,
                          const struct pg_params *params, bool binary_result) {
    bool begins = pg->item_count == 0 && PQtransactionStatus(pg->conn) == PQTRANS_IDLE;
    bool is_begin = strncmp(sql, "BEGIN", 5) == 0;
    return (!begins || is_begin || pg_send_settings(pg)) &&
           pg_send_unnamed(pg, PG_ITEM_STATEMENT, name, sql, params, binary_result) &&
           (!begins || !is_begin || pg_send_settings(pg));
}

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
    bool sent = pg->pooled ? pg_send_whole(pg, name, sql, params, binary_result)
                : pg->comment
                    ? pg_send_unnamed(pg, PG_ITEM_STATEMENT, name, sql, params, binary_result)
                    : pg_send_prepared(pg, name, sql, params, binary_result);
    return sent || pg_lose(pg, err);
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

/* Ends the group; the connection stays. */
static enum pg_progress pg_end_group(struct pg *pg, struct err *err) {
    bool failed = pg->first.kind != ERR_NONE;
    if (failed) {
        *err = pg->first;
    }
    pg_clear_group(pg);
    return failed ? PG_FAILED : PG_DONE;
}

static void pg_note_error(struct pg *pg, struct pg_item *item, const PGresult *result) {
    struct pg_statement *statement = item->statement;
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    bool was_ready = statement->state == PG_STATEMENT_READY;
    bool stale = sqlstate && was_ready && item->kind == PG_ITEM_STATEMENT &&
                 (strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "26000") == 0);
    if (item->kind == PG_ITEM_PREPARE || stale) {
        statement->state = PG_STATEMENT_FORGOTTEN;
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
    if (item->kind == PG_ITEM_SETTINGS) {
        pg_note_session(pg, result);
        return false;
    }
    statement->fresh = false;
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
