/* pg_statements: sends a statement: prepared at its first use on a connection, or whole each time.
 */
#include <stdlib.h>

#include "base/buffer.h"
#include "base/xalloc.h"
#include "pg_connection.h"
#include "pg_params.h"

/* ---- known on this connection --------------------------------------------------------------- */

/* NULL and text fit any parsed type, a binary value only its own. */
static bool pg_statements_types_fit(const struct pg_statement *statement,
                                    const struct pg_params *params) {
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
static struct pg_statement *pg_statements_find(struct pg *pg, bool whole, const char *name,
                                               const char *sql, const struct pg_params *params) {
    for (size_t i = 0; i < pg->statement_count; i++) {
        struct pg_statement *statement = pg->statements[i];
        if (statement->state != PG_STATEMENT_FORGOTTEN && !statement->server_name[0] == whole &&
            strcmp(statement->name, name) == 0 && strcmp(statement->sql, sql) == 0 &&
            pg_statements_types_fit(statement, params)) {
            return statement;
        }
    }
    return NULL;
}

void pg_push(struct pg *pg, enum pg_item_kind kind, struct pg_statement *statement) {
    if (pg->item_count == pg->item_cap) {
        pg->item_cap = pg->item_cap ? pg->item_cap * 2 : 32;
        pg->items = xrealloc(pg->items, pg->item_cap * sizeof *pg->items);
    }
    pg_count_active(pg, true);
    size_t index = kind == PG_ITEM_STATEMENT ? pg->group_size++ : 0;
    pg->items[pg->item_count++] = (struct pg_item){kind, statement, index, false};
}

static struct pg_statement *pg_statements_add(struct pg *pg, const char *name, const char *sql,
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

/* ---- prepared ------------------------------------------------------------------------------- */

void pg_put_statement_prefix(const struct pg *pg, char out[PG_PREFIX_CAP]) {
    snprintf(out, PG_PREFIX_CAP, "agg_%s_%u_", pg_process_mark(), pg->connection_number);
}

static struct pg_statement *pg_statements_prepare(struct pg *pg, const char *name, const char *sql,
                                                  const struct pg_params *params) {
    char prefix[PG_PREFIX_CAP];
    struct buffer edited = {0};
    struct pg_statement *statement = pg_statements_add(pg, name, sql, params);
    pg_put_statement_prefix(pg, prefix);
    snprintf(statement->server_name, sizeof statement->server_name, "%s%u", prefix, ++pg->serial);
    if (pg->edition > 0) {
        buffer_append_format(&edited, "%s\n-- edition %u", sql, pg->edition);
    }
    int sent = PQsendPrepare(pg->conn, statement->server_name, edited.data ? edited.data : sql,
                             (int)statement->type_count, statement->types);
    buffer_free(&edited);
    if (sent != 1) {
        return NULL;
    }
    pg_push(pg, PG_ITEM_PREPARE, statement);
    return statement;
}

static bool pg_statements_send_prepared(struct pg *pg, enum pg_item_kind kind, const char *name,
                                        const char *sql, const struct pg_params *params,
                                        bool binary_result) {
    struct pg_statement *statement = pg_statements_find(pg, false, name, sql, params);
    if (!statement && !(statement = pg_statements_prepare(pg, name, sql, params))) {
        return false;
    }
    if (PQsendQueryPrepared(pg->conn, statement->server_name, params ? (int)params->count : 0,
                            params ? pg_params_values(params) : NULL,
                            params ? params->lengths : NULL, params ? params->formats : NULL,
                            binary_result) != 1) {
        return false;
    }
    pg_push(pg, kind, statement);
    return true;
}

/* ---- whole: with a comment, or behind a pooler that keeps no statement ----------------------- */

void pg_set_comment(struct pg *pg, const char *comment) {
    pg->comment = comment;
}

/* The comment needs its own line: the statement may end in a line comment. */
static bool pg_statements_send_text(struct pg *pg, const char *sql, const struct pg_params *params,
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

static bool pg_statements_send_whole(struct pg *pg, enum pg_item_kind kind, const char *name,
                                     const char *sql, const struct pg_params *params,
                                     bool binary_result) {
    struct pg_statement *statement = pg_statements_find(pg, true, name, sql, params);
    if (!statement) {
        statement = pg_statements_add(pg, name, sql, params);
        statement->state = PG_STATEMENT_READY;
    }
    if (!pg_statements_send_text(pg, sql, params, binary_result)) {
        return false;
    }
    pg_push(pg, kind, statement);
    return true;
}

/* ---- either --------------------------------------------------------------------------------- */

static bool pg_statements_send(struct pg *pg, enum pg_item_kind kind, const char *name,
                               const char *sql, const struct pg_params *params,
                               bool binary_result) {
    return pg->keeps_statements && !pg->comment
               ? pg_statements_send_prepared(pg, kind, name, sql, params, binary_result)
               : pg_statements_send_whole(pg, kind, name, sql, params, binary_result);
}

bool pg_send_settings(struct pg *pg) {
    return pg_statements_send(pg, PG_ITEM_SETTINGS, "pg session", pg_settings_sql, pg->settings,
                              false);
}

/* Behind a pooler each transaction sends the settings: before a single group, or after BEGIN, which
 * may set the isolation level and so must come first. */
bool pg_send_statement(struct pg *pg, const char *name, const char *sql,
                       const struct pg_params *params, bool binary_result) {
    bool begins =
        pg->pooled && pg->item_count == 0 && PQtransactionStatus(pg->conn) == PQTRANS_IDLE;
    bool is_begin = begins && strncmp(sql, "BEGIN", 5) == 0;
    return (!begins || is_begin || pg_send_settings(pg)) &&
           pg_statements_send(pg, PG_ITEM_STATEMENT, name, sql, params, binary_result) &&
           (!is_begin || pg_send_settings(pg));
}
