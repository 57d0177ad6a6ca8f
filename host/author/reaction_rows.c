#include "reaction_rows.h"

#include "bindings/pg.h"
#include "bindings/pg_named.h"

#define GRACE_MS 5000 /* above the server's statement_timeout */

static bool reaction_rows_query(struct pg *pg, const struct script_query *query, int timeout_ms,
                                const struct reaction_keys *keys, struct pg_result **rows,
                                struct err *err) {
    struct pg_named named;
    if (!pg_named_parse(&named, query->text, err)) {
        return err_wrap(err, "%s", query->path);
    }
    struct pg_params *params = pg_params_create();
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < keys->count; i++) {
        pg_array_bytes(params, slice_of(keys->items[i]));
    }
    pg_array_end(params);
    bool ok = pg_query(pg, query->path, named.sql, params, timeout_ms, rows, err);
    pg_params_destroy(params);
    pg_named_free(&named);
    return ok;
}

bool reaction_rows_ask(const struct script_generation *generation,
                       const struct script_reaction *reaction, const struct reaction_keys *keys,
                       const char **path, struct pg_result **rows, struct err *err) {
    const struct config *config = script_generation_config(generation);
    struct script_query query;
    struct pg_options options = {
        .url = config->postgres.url,
        .application_name = "aggregator try",
        .connect_timeout_ms = config->postgres.connect_timeout_ms,
        .statement_timeout_ms = config->postgres.statement_timeout_ms,
        .read_only = true,
        .uncounted = true,
    };
    if (!script_find_query(generation, reaction->query, &query)) {
        return err_set(err, ERR_INTERNAL, "%s: no query %s", reaction->name, reaction->query);
    }
    *path = query.path;
    struct pg *pg = pg_create(&options);
    bool ok = pg_connect(pg, err) &&
              reaction_rows_query(pg, &query, config->postgres.statement_timeout_ms + GRACE_MS,
                                  keys, rows, err);
    pg_destroy(pg);
    if (ok && pg_rows_find_column(*rows, "key") < 0) {
        return err_set(err, ERR_INPUT,
                       "%s returns no column \"key\": each row must name one of :keys", query.path);
    }
    return ok;
}

bool reaction_rows_have(const struct pg_result *rows, struct slice key) {
    int column = pg_rows_find_column(rows, "key");
    for (int row = 0; row < pg_rows_count(rows); row++) {
        if (slice_equal(pg_rows_cell(rows, row, column), key)) {
            return true;
        }
    }
    return false;
}
