#include "generation_store.h"

#include <stdlib.h>

#include "base/json_put.h"
#include "base/xalloc.h"
#include "reload/generation_store.sql.h"

#define TIMEOUT_MS 5000

enum column { COLUMN_HASH, COLUMN_NAME, COLUMN_PATH, COLUMN_SOURCE };

/* ---- saving -------------------------------------------------------------------------------- */

static void generation_store_add_column(struct pg_params *params,
                                        const struct script_generation *generation,
                                        enum column column) {
    struct script_source source;
    pg_array_begin(params, column == COLUMN_SOURCE ? PG_ARRAY_BYTEA : PG_ARRAY_TEXT);
    for (size_t i = 0; script_generation_source(generation, i, &source); i++) {
        pg_array_bytes(params, column == COLUMN_SOURCE
                                   ? source.text
                                   : slice_of(column == COLUMN_NAME ? source.name : source.path));
    }
    pg_array_end(params);
}

bool generation_store_save(const struct script_generation *generation, struct err *err) {
    struct sql_session session;
    bool ok = sql_session_open(&session, script_generation_config(generation), "aggregator reload",
                               TIMEOUT_MS, err);
    if (ok) {
        pg_params_add_text(session.params, slice_of(script_generation_hash(generation)));
        generation_store_add_column(session.params, generation, COLUMN_NAME);
        generation_store_add_column(session.params, generation, COLUMN_PATH);
        generation_store_add_column(session.params, generation, COLUMN_SOURCE);
        ok = sql_query(&session, slice_of(save_sql), NULL, err) &&
             sql_query(&session, slice_of(prune_sql), NULL, err);
    }
    sql_session_close(&session);
    return ok;
}

/* ---- loading ------------------------------------------------------------------------------- */

static struct script_generation *generation_store_restore(const struct config *config,
                                                          uint64_t number,
                                                          const struct pg_result *rows,
                                                          struct err *err) {
    size_t count = (size_t)pg_rows_count(rows);
    struct script_source *sources = xcalloc(count, sizeof *sources);
    for (size_t i = 0; i < count; i++) {
        sources[i] = (struct script_source){pg_rows_text(rows, (int)i, COLUMN_NAME),
                                            pg_rows_text(rows, (int)i, COLUMN_PATH),
                                            pg_rows_bytes(rows, (int)i, COLUMN_SOURCE)};
    }
    struct script_generation *generation =
        script_generation_restore(config, number, sources, count, err);
    for (size_t i = 0; i < count; i++) {
        pg_rows_free_bytes((void *)sources[i].text.data);
    }
    free(sources);
    return generation;
}

/* Refuses files that were changed in the database. */
static struct script_generation *generation_store_check_hash(struct script_generation *generation,
                                                             const char *hash, struct err *err) {
    if (generation && strcmp(script_generation_hash(generation), hash) != 0) {
        err_set(err, ERR_INPUT, "the stored files of generation %s were changed since it ran",
                hash);
        script_generation_unref(generation);
        return NULL;
    }
    return generation;
}

static struct script_generation *generation_store_read(struct sql_session *session,
                                                       const struct config *config, uint64_t number,
                                                       struct slice hash, const char *running,
                                                       struct err *err) {
    struct pg_result *rows;
    struct script_generation *generation = NULL;
    pg_params_add_text(session->params, hash);
    pg_params_add_text(session->params, slice_of(running));
    if (!sql_query(session, slice_of(load_sql), &rows, err)) {
        return NULL;
    }
    if (pg_rows_count(rows) == 0 && hash.len == 0) {
        err_set(err, ERR_INPUT, "no other generation has run on this database");
    } else if (pg_rows_count(rows) == 0) {
        err_set(err, ERR_INPUT, "no generation %.*s has run on this database, or too long ago",
                (int)hash.len, hash.data);
    } else {
        generation =
            generation_store_check_hash(generation_store_restore(config, number, rows, err),
                                        pg_rows_text(rows, 0, COLUMN_HASH), err);
    }
    pg_rows_free(rows);
    return generation;
}

struct script_generation *generation_store_load(const struct config *config, uint64_t number,
                                                struct slice hash, const char *running,
                                                struct err *err) {
    struct sql_session session;
    struct script_generation *generation = NULL;
    if (sql_session_open(&session, config, "aggregator rollback", TIMEOUT_MS, err)) {
        generation = generation_store_read(&session, config, number, hash, running, err);
    }
    sql_session_close(&session);
    return generation;
}

/* ---- listing ------------------------------------------------------------------------------- */

bool generation_store_list(struct sql_session *session, struct buffer *json, struct err *err) {
    struct pg_result *rows;
    if (!sql_query(session, slice_of(list_sql), &rows, err)) {
        return false;
    }
    buffer_append_text(json, "[");
    for (int i = 0; i < pg_rows_count(rows); i++) {
        json_open(json, NULL, "{");
        json_put_text(json, "hash", pg_rows_cell(rows, i, 0));
        json_put_time(json, "first_ran_at", pg_rows_int(rows, i, 1));
        json_put_time(json, "last_ran_at", pg_rows_int(rows, i, 2));
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
    pg_rows_free(rows);
    return true;
}
