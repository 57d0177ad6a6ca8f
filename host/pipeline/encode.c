/* encode: takes a tenth of the time of the commit. The worker encodes a full batch while Postgres
 * commits the one before it. */
#include "encode.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "view/view_sql.h"
#include "pipeline.h"

struct encoded_table {
    struct pg_params *params;
    size_t rows; /* 0: no upsert */
    uint32_t groups;
};

static void encode_make_room(struct encoded *encoded, size_t table_count) {
    if (table_count <= encoded->count) {
        return;
    }
    encoded->tables = xrealloc(encoded->tables, table_count * sizeof *encoded->tables);
    for (size_t t = encoded->count; t < table_count; t++) {
        encoded->tables[t] = (struct encoded_table){.params = pg_params_create()};
    }
    encoded->count = table_count;
}

void encode_rows(struct pipeline *pipeline, struct batch *batch) {
    const struct view *view = script_generation_view(batch->generation);
    struct encoded *encoded = &pipeline->encoded;
    if (encoded->batch == batch && batch->is_encoded) {
        return;
    }
    encode_make_room(encoded, view->table_count);
    for (size_t t = 0; t < view->table_count; t++) {
        struct encoded_table *table = &encoded->tables[t];
        struct merge_row *const *rows = merge_rows(batch->merge, t, &table->rows);
        table->groups = view_sql_groups(&view->tables[t], rows, table->rows);
        if (table->rows > 0) {
            view_sql_params(&view->tables[t], table->groups, rows, table->rows, table->params);
        }
    }
    encoded->batch = batch;
    batch->is_encoded = true;
}

void encode_forget(struct batch *batch) {
    batch->is_encoded = false;
}

static bool encode_send_table(struct pipeline *pipeline, const struct view_table *table,
                              const struct encoded_table *encoded, struct err *err) {
    struct buffer sql = {0};
    char name[64];
    view_sql_upsert(table, encoded->groups, &sql);
    snprintf(name, sizeof name, "upsert %s", table->name);
    pipeline->transaction.rows_sent += encoded->rows;
    bool ok = pg_send(pipeline->pg, name, sql.data, encoded->params, false, err);
    buffer_free(&sql);
    return ok;
}

bool encode_send(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    const struct view *view = script_generation_view(batch->generation);
    encode_rows(pipeline, batch);
    for (size_t t = 0; t < view->table_count; t++) {
        const struct encoded_table *table = &pipeline->encoded.tables[t];
        if (table->rows > 0 && !encode_send_table(pipeline, &view->tables[t], table, err)) {
            return false;
        }
    }
    return true;
}

void encode_free(struct encoded *encoded) {
    for (size_t t = 0; t < encoded->count; t++) {
        pg_params_destroy(encoded->tables[t].params);
    }
    free(encoded->tables);
    *encoded = (struct encoded){0};
}
