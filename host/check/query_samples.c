#include "query_samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plural.h"
#include "base/problems.h"
#include "base/xalloc.h"
#include "bindings/pg_named.h"

#define SAMPLES 3
#define QUERY_TIMEOUT_MS 5000
#define COPIED_ROWS_MAX 20000
#define SHOWN_BYTES 200 /* of a row that differs */

/* A query with one set of values, and what the database returned for it. */
struct sample {
    struct script_query query;
    struct pg_named named;
    char **values; /* of its parameters; NULL: null */
    char *rows;    /* sorted, a line each; NULL: it failed */
};

struct samples {
    struct sql_session *session;
    const struct script_generation *generation;
    struct sample *items;
    size_t count, compared;
    struct problems problems;
    struct err *err; /* the connection's */
};

/* ---- values --------------------------------------------------------------------------------- */

/* The table of the view that has a column of this name, first one whose key has it; NULL: none. */
static const struct view_table *query_samples_table_of(const struct view *view,
                                                       const char *column) {
    for (size_t t = 0; t < view->table_count; t++) {
        for (size_t k = 0; k < view->tables[t].key_count; k++) {
            if (strcmp(view->tables[t].key[k].name, column) == 0) {
                return &view->tables[t];
            }
        }
    }
    for (size_t t = 0; t < view->table_count; t++) {
        for (size_t g = 0; g < view->tables[t].group_count; g++) {
            const struct view_group *group = &view->tables[t].groups[g];
            for (size_t c = 0; c < group->column_count; c++) {
                if (strcmp(group->columns[c].name, column) == 0) {
                    return &view->tables[t];
                }
            }
        }
    }
    return NULL;
}

/* The reaction with this query; NULL: none. */
static const struct script_reaction *query_samples_reaction(const struct samples *samples,
                                                            const struct script_query *query) {
    size_t count;
    struct script_query own;
    const struct script_reaction *all = script_generation_reactions(samples->generation, &count);
    for (size_t i = 0; i < count; i++) {
        if (script_find_query(samples->generation, all[i].query, &own) && own.text == query->text) {
            return &all[i];
        }
    }
    return NULL;
}

/* *text NULL: the database has none, or refuses to look for it, as it does where few rows of a
 * large table have one: looking takes longer than QUERY_TIMEOUT_MS. False: no connection. */
static bool query_samples_ask_text(struct samples *samples, struct buffer *sql, char **text) {
    struct sql_session *session = samples->session;
    struct pg_result *row = NULL;
    struct err refusal = {0};
    *text = NULL;
    if (!sql_run(session, samples->err, "SAVEPOINT looked_up")) {
        buffer_free(sql);
        return false;
    }
    if (!sql_query_built(session, sql, &row, &refusal)) {
        if (!pg_connected(session->pg)) {
            *samples->err = refusal;
            return false;
        }
        return sql_run(session, samples->err, "ROLLBACK TO looked_up");
    }
    if (pg_rows_count(row) > 0 && !pg_rows_is_null(row, 0, 0)) {
        *text = xstrdup(pg_rows_text(row, 0, 0));
    }
    pg_rows_free(row);
    return true;
}

/* A parameter that no column of the view explains: NULL at first, then 1, 2, if it is a number. */
static bool query_samples_plain_value(struct samples *samples, size_t param, size_t place,
                                      char **value) {
    struct buffer sql = {0};
    buffer_append_format(&sql,
                         "SELECT CASE WHEN %zu > 0 AND parameter_types[%zu] = ANY "
                         "('{smallint,integer,bigint}'::regtype[]) THEN %zu END::text "
                         "FROM pg_prepared_statements WHERE name = 'sampled'",
                         place, param + 1, place);
    return query_samples_ask_text(samples, &sql, value);
}

static bool query_samples_value(struct samples *samples, const struct sample *sample, size_t param,
                                size_t place, char **value) {
    const struct view *view = script_generation_view(samples->generation);
    const char *column = sample->named.names[param];
    const struct script_reaction *reaction = query_samples_reaction(samples, &sample->query);
    struct buffer sql = {0};
    if (reaction) {
        const struct script_follow *follow = &reaction->follows[0];
        buffer_append_format(&sql,
                             "SELECT array_agg(k)::text FROM (SELECT \"%s\" AS k FROM \"%s\" "
                             "WHERE \"%s\" IS NOT NULL OFFSET %zu LIMIT %d) s",
                             follow->column, follow->table, follow->column, place * SAMPLES,
                             SAMPLES);
        return query_samples_ask_text(samples, &sql, value);
    }
    const struct view_table *table = query_samples_table_of(view, column);
    if (!table) {
        return query_samples_plain_value(samples, param, place, value);
    }
    buffer_append_format(
        &sql, "SELECT \"%s\"::text FROM \"%s\" WHERE \"%s\" IS NOT NULL OFFSET %zu LIMIT 1", column,
        table->name, column, place);
    return query_samples_ask_text(samples, &sql, value);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static int query_samples_compare_lines(const void *one, const void *other) {
    return strcmp(*(char *const *)one, *(char *const *)other);
}

static char *query_samples_line(const struct pg_result *rows, int row) {
    struct buffer line = {0};
    for (int column = 0; column < pg_rows_column_count(rows); column++) {
        buffer_append_text(&line, column > 0 ? " | " : "");
        buffer_append_text(
            &line, pg_rows_is_null(rows, row, column) ? "null" : pg_rows_text(rows, row, column));
    }
    buffer_append_text(&line, "\n");
    return line.data;
}

static char *query_samples_text(const struct pg_result *rows) {
    size_t count = (size_t)pg_rows_count(rows);
    char **lines = xcalloc(count + 1, sizeof *lines);
    struct buffer text = {0};
    for (size_t i = 0; i < count; i++) {
        lines[i] = query_samples_line(rows, (int)i);
    }
    qsort(lines, count, sizeof *lines, query_samples_compare_lines);
    buffer_append_text(&text, "");
    for (size_t i = 0; i < count; i++) {
        buffer_append_text(&text, lines[i]);
        free(lines[i]);
    }
    free(lines);
    return text.data;
}

/* The rows, or NULL with the refusal of the database. False: no connection. */
static bool query_samples_run(struct sql_session *session, const struct sample *sample, char **rows,
                              struct err *refusal, struct err *err) {
    struct pg_result *found = NULL;
    *rows = NULL;
    for (size_t i = 0; i < sample->named.count; i++) {
        if (sample->values[i]) {
            pg_params_add_text(session->params, slice_of(sample->values[i]));
        } else {
            pg_params_add_null(session->params);
        }
    }
    if (sql_query(session, slice_of(sample->named.sql), &found, refusal)) {
        *rows = query_samples_text(found);
        pg_rows_free(found);
    } else if (!pg_connected(session->pg)) {
        *err = *refusal;
        return false;
    }
    return true;
}

/* What a query may meet in any database: it writes (which is refused here), it takes too long, or
 * it judges the values. */
static bool query_samples_is_harmless(const struct err *refusal) {
    static const char *const states[] = {"25006", "57014", "55P03"}, *const classes[] = {"22",
                                                                                         "P0"};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        if (strcmp(refusal->sqlstate, states[i]) == 0) {
            return true;
        }
    }
    return strncmp(refusal->sqlstate, classes[0], 2) == 0 ||
           strncmp(refusal->sqlstate, classes[1], 2) == 0;
}

static bool query_samples_begin(struct sql_session *session, const char *mode, struct err *err) {
    return sql_run(session, err, "BEGIN %s", mode) &&
           sql_run(session, err, "SET LOCAL statement_timeout = %d", QUERY_TIMEOUT_MS) &&
           sql_run(session, err, "SET LOCAL lock_timeout = %d", QUERY_TIMEOUT_MS);
}

/* In a transaction of its own that only reads. */
static bool query_samples_ask(struct samples *samples, const struct sample *sample, char **rows,
                              struct err *refusal) {
    return query_samples_begin(samples->session, "READ ONLY", samples->err) &&
           query_samples_run(samples->session, sample, rows, refusal, samples->err) &&
           sql_run(samples->session, samples->err, "ROLLBACK");
}

/* ---- the queries ----------------------------------------------------------------------------- */

static void query_samples_free(struct sample *sample) {
    for (size_t i = 0; i < sample->named.count; i++) {
        free(sample->values[i]);
    }
    free(sample->values);
    free(sample->rows);
    pg_named_free(&sample->named);
}

/* False: no connection, or a statement that is no query, which schema_check has reported. */
static bool query_samples_fill(struct samples *samples, struct sample *sample, size_t place) {
    struct err unprepared = {0};
    bool ok = query_samples_begin(samples->session, "READ ONLY", samples->err);
    if (ok && sql_run(samples->session, &unprepared, "PREPARE sampled AS %s", sample->named.sql)) {
        for (size_t i = 0; ok && i < sample->named.count; i++) {
            ok = query_samples_value(samples, sample, i, place, &sample->values[i]);
        }
        ok = ok && sql_run(samples->session, samples->err, "DEALLOCATE sampled");
    }
    return ok && sql_run(samples->session, samples->err, "ROLLBACK");
}

/* A sample without any value runs once. */
static bool query_samples_is_new(const struct sample *sample, size_t place) {
    for (size_t i = 0; i < sample->named.count; i++) {
        if (sample->values[i]) {
            return true;
        }
    }
    return place == 0;
}

static bool query_samples_add(struct samples *samples, const struct script_query *query,
                              size_t place) {
    struct sample sample = {.query = *query};
    struct err refusal = {0};
    if (!pg_named_parse(&sample.named, query->text, &refusal)) {
        return true; /* schema_check has reported it */
    }
    sample.values = xcalloc(sample.named.count + 1, sizeof *sample.values);
    bool ok = query_samples_fill(samples, &sample, place);
    if (!ok || !query_samples_is_new(&sample, place)) {
        query_samples_free(&sample);
        return ok;
    }
    ok = query_samples_ask(samples, &sample, &sample.rows, &refusal);
    if (ok && !sample.rows && !query_samples_is_harmless(&refusal)) {
        problems_add(&samples->problems, query->path, 0, "with values of the view: %s",
                     refusal.text);
    }
    samples->items = xrealloc(samples->items, (samples->count + 1) * sizeof *samples->items);
    samples->items[samples->count++] = sample;
    return ok;
}

/* ---- copies ---------------------------------------------------------------------------------- */

/* Temporary tables of the same names are found first. Functions may ask whether they may write.
 * *why: "" or the reason for none. */
static bool query_samples_copy(struct samples *samples, struct sql_session *copies, char why[128]) {
    const struct view *view = script_generation_view(samples->generation);
    struct err refusal = {0};
    why[0] = '\0';
    bool ok = query_samples_begin(copies, "", samples->err);
    for (size_t t = 0; ok && !why[0] && t < view->table_count; t++) {
        const char *name = view->tables[t].name;
        struct buffer sql = {0};
        struct pg_result *made = NULL;
        buffer_append_format(
            &sql, "CREATE TEMP TABLE \"%s\" ON COMMIT DROP AS SELECT * FROM \"%s\" LIMIT %d", name,
            name, COPIED_ROWS_MAX + 1);
        if (!sql_query_built(copies, &sql, &made, &refusal)) {
            ok =
                pg_connected(copies->pg) || err_set(samples->err, refusal.kind, "%s", refusal.text);
            snprintf(why, 128, "%.120s", refusal.text);
        } else if (pg_rows_written(made) > COPIED_ROWS_MAX) {
            snprintf(why, 128, "%.60s has more than %d rows", name, COPIED_ROWS_MAX);
        }
        pg_rows_free(made);
    }
    return ok && sql_run(copies, samples->err, "SET TRANSACTION READ ONLY");
}

/* The first line of `rows` that differs from `against`. */
static void query_samples_first(const char *rows, const char *against, char line[SHOWN_BYTES]) {
    size_t same = 0;
    while (rows[same] && rows[same] == against[same]) {
        same++;
    }
    size_t from = same > SHOWN_BYTES / 2 ? same - SHOWN_BYTES / 2 : 0;
    snprintf(line, SHOWN_BYTES, "%s%.*s", from > 0 ? "…" : "", (int)strcspn(rows + from, "\n"),
             rows[from] ? rows + from : "no further row");
}

/* Asks the database again: rows may have changed since the copies were made. */
static bool query_samples_differ(struct samples *samples, const struct sample *sample,
                                 const char *local) {
    char *fresh = NULL, here[SHOWN_BYTES], there[SHOWN_BYTES];
    struct err refusal = {0};
    bool ok = query_samples_ask(samples, sample, &fresh, &refusal);
    if (ok && fresh && strcmp(fresh, sample->rows) == 0) {
        query_samples_first(fresh, local, here);
        query_samples_first(local, fresh, there);
        problems_add(
            &samples->problems, sample->query.path, 0,
            "on Citus its rows are not those of the same tables on one server: %s, not %s: "
            "the docs, operate/citus.md, say which statements Citus plans right",
            here, there);
    }
    free(fresh);
    return ok;
}

static bool query_samples_compare(struct samples *samples, struct sql_session *copies) {
    bool ok = true;
    for (size_t i = 0; ok && i < samples->count; i++) {
        const struct sample *sample = &samples->items[i];
        struct err refusal = {0};
        char *local = NULL;
        if (!sample->rows) {
            continue;
        }
        ok = sql_run(copies, samples->err, "SAVEPOINT sampled") &&
             query_samples_run(copies, sample, &local, &refusal, samples->err) &&
             sql_run(copies, samples->err, "ROLLBACK TO sampled");
        if (ok && local) {
            samples->compared++;
            ok = strcmp(local, sample->rows) == 0 || query_samples_differ(samples, sample, local);
        }
        free(local);
    }
    return ok;
}

static bool query_samples_compare_with_copies(struct samples *samples, const struct config *config,
                                              char why[128]) {
    struct sql_session copies;
    bool ok =
        sql_session_open(&copies, config, "aggregator check", QUERY_TIMEOUT_MS, samples->err) &&
        query_samples_copy(samples, &copies, why) &&
        (why[0] || query_samples_compare(samples, &copies));
    sql_session_close(&copies); /* rolls back */
    return ok;
}

static void query_samples_summarize(const struct samples *samples, bool on_citus, const char *why,
                                    struct buffer *summary) {
    buffer_append_format(summary, "%zu run%s with values of the view", samples->count,
                         plural_of((int64_t)samples->count));
    if (on_citus && why[0]) {
        buffer_append_format(summary, ", not compared with one server: %s", why);
    } else if (on_citus) {
        buffer_append_format(summary, ", %zu gave the rows that one server gives",
                             samples->compared);
    }
}

bool query_samples_check(struct sql_session *session, const struct config *config, bool on_citus,
                         const struct script_generation *generation, struct buffer *summary,
                         struct err *err) {
    struct samples samples = {.session = session, .generation = generation, .err = err};
    struct script_query query;
    char why[128] = "";
    bool ok = true;
    for (size_t i = 0; ok && script_generation_query(generation, i, &query); i++) {
        for (size_t place = 0; ok && place < SAMPLES; place++) {
            ok = query_samples_add(&samples, &query, place);
        }
    }
    ok = ok && (!on_citus || query_samples_compare_with_copies(&samples, config, why));
    query_samples_summarize(&samples, on_citus, why, summary);
    ok = ok && problems_report(&samples.problems, err);
    problems_free(&samples.problems);
    for (size_t i = 0; i < samples.count; i++) {
        query_samples_free(&samples.items[i]);
    }
    free(samples.items);
    return ok;
}
