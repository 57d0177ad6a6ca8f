#include "round.h"

#include <stdlib.h>

#include "bindings/pg_named.h"
#include "base/buffer.h"
#include "base/fault.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/traceparent.h"
#include "reaction/round.sql.h"
#include "schema/program_schema.h"

#define GRACE_MS 5000 /* above the server's statement_timeout */
#define ARENA_CHUNK_BYTES 65536

/* State of one round; memory in the arena except for the results. */
struct round_work {
    struct round *round;
    const struct script_reaction *reaction;
    size_t index;
    struct round_counts *counts;
    struct pg_result *taken, *gone, *rows;
    struct outbox_message *messages;
    size_t message_count, message_room;
    struct failed_row *failed;
};

struct failed_row {
    int gone; /* row of its key in round_work.gone */
    const char *error;
};

/* ---- the keys ------------------------------------------------------------------------------ */

static void round_add_keys(struct pg_params *params, const struct pg_result *keys) {
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (int i = 0; i < pg_rows_count(keys); i++) {
        pg_array_bytes(params, pg_rows_cell(keys, i, 0));
    }
    pg_array_end(params);
}

/* Where the results of a pipeline go, in order of its statements; NULL: dropped. */
struct round_replies {
    struct pg_result **wanted[4];
    struct outbox_stored *stored;
};

static bool round_keep_result(void *context, size_t index, struct pg_result *result,
                              struct err *err) {
    struct round_replies *results = context;
    (void)err;
    if (results->stored) {
        outbox_stored_add(results->stored, result);
    }
    if (index < sizeof results->wanted / sizeof *results->wanted && results->wanted[index]) {
        *results->wanted[index] = pg_rows_copy(result);
        return *results->wanted[index] ||
               err_set(err, ERR_INTERNAL, "no memory for the rows of a reaction");
    }
    return true;
}

static bool round_exchange(struct round_work *work, struct round_replies *results,
                           struct err *err) {
    return pg_finish(work->round->pg, work->round->timeout_ms, round_keep_result, results, err);
}

/* On Citus a mark may be visible before the rows that were committed with it. */
static bool round_take_keys(struct round_work *work, size_t max_keys, struct err *err) {
    struct round *round = work->round;
    struct round_replies results = {.wanted = {NULL, &work->taken}};
    pg_params_reset(round->params);
    pg_params_add_text(round->params, slice_of(work->reaction->name));
    pg_params_add_int8(round->params, (int64_t)max_keys);
    return pg_send(round->pg, "BEGIN", "BEGIN", NULL, false, err) &&
           pg_send(round->pg, "take_marks", take_sql, round->params, false, err) &&
           pg_send(round->pg, "await_commits", PROGRAM_AWAIT_COMMITS, NULL, false, err) &&
           round_exchange(work, &results, err);
}

/* ---- the query -------------------------------------------------------------------------- */

/* Deletes the marks, then runs the query, which sees all that was committed with them. It is
 * read-only; its settings end with the savepoint. */
static bool round_query(struct round_work *work, struct err *err) {
    struct round *round = work->round;
    struct round_replies results = {.wanted = {&work->gone, NULL, NULL, &work->rows}};
    struct pg_named query;
    struct script_query file;
    bool found = script_find_query(round->generation, work->reaction->query, &file);
    if (!found || !pg_named_parse(&query, file.text, err)) { /* checked by the manifest */
        return err_wrap(err, "%s: its query %s", work->reaction->name, work->reaction->query);
    }
    pg_params_reset(round->params);
    pg_params_add_text(round->params, slice_of(work->reaction->name));
    round_add_keys(round->params, work->taken);
    bool ok = pg_send(round->pg, "delete_marks", delete_sql, round->params, false, err);
    pg_params_reset(round->params);
    round_add_keys(round->params, work->taken);
    ok =
        ok && pg_send(round->pg, "SAVEPOINT", "SAVEPOINT asked", NULL, false, err) &&
        pg_send(round->pg, "read_only", "SET LOCAL transaction_read_only = on", NULL, false, err) &&
        pg_send(round->pg, work->reaction->query, query.sql, round->params, false, err) &&
        pg_send(round->pg, "ROLLBACK TO", "ROLLBACK TO SAVEPOINT asked", NULL, false, err) &&
        round_exchange(work, &results, err);
    pg_named_free(&query);
    if (ok && pg_rows_find_column(work->rows, "key") < 0) {
        return err_set(err, ERR_INPUT,
                       "%s returns no column \"key\": each row must name one of :keys", file.path);
    }
    return ok || err_wrap(err, "%s", file.path);
}

/* ---- the script ---------------------------------------------------------------------------- */

/* The row with the key in its first column, by which the rows are sorted; -1: none. */
static int round_find_key(const struct pg_result *rows, struct slice key) {
    int low = 0, high = pg_rows_count(rows);
    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = slice_compare(key, pg_rows_cell(rows, middle, 0));
        if (order == 0) {
            return middle;
        }
        low = order > 0 ? middle + 1 : low;
        high = order > 0 ? high : middle;
    }
    return -1;
}

static void round_note_messages(struct round_work *work, const struct script_published *published,
                                int gone) {
    struct arena *arena = work->round->arena;
    if (work->message_count + published->count > work->message_room) {
        size_t room = 2 * (work->message_count + published->count);
        struct outbox_message *more = arena_alloc(arena, room * sizeof *more);
        if (work->message_count > 0) {
            memcpy(more, work->messages, work->message_count * sizeof *more);
        }
        work->messages = more;
        work->message_room = room;
    }
    for (size_t i = 0; i < published->count; i++) {
        struct outbox_message *message = &work->messages[work->message_count++];
        *message = published->messages[i];
        message->about = pg_rows_cell(work->gone, gone, 0);
        message->traceparent = pg_rows_cell(work->gone, gone, 2);
    }
}

/* A failed call fails its key alone. */
static void round_note_failure(struct round_work *work, int gone, const struct err *failure) {
    const char *copy = arena_copy_utf8(work->round->arena, slice_of(failure->text)).data;
    work->counts->failure = work->counts->failure ? work->counts->failure : copy;
    work->failed[work->counts->failed++] = (struct failed_row){gone, copy};
    struct slice key = pg_rows_cell(work->gone, gone, 0);
    if (log_limit_admits_mistake(&work->round->log_limit, clock_monotonic_us(), slice_of(copy))) {
        log_error(
            "a reaction failed for a key, which is retried later: correct the script and reload",
            LOG_TEXT("reaction", work->reaction->name), LOG_SLICE("key", key),
            LOG_TEXT("error", copy));
    }
}

static bool round_renew_instance(struct round *round, struct err *err) {
    if (round->instance && script_instance_healthy(round->instance)) {
        return true;
    }
    script_instance_destroy(round->instance);
    round->instance = script_instance_create(round->generation, err);
    if (round->instance) {
        script_instance_mute(round->instance, round->muted);
    }
    return round->instance != NULL;
}

static bool round_load_rows(struct round_work *work, struct err *err) {
    return round_renew_instance(work->round, err) &&
           script_react_to(work->round->instance, work->index, work->rows, err);
}

/* A row of another key would publish without its mark and lock. */
static bool round_check_keys(const struct round_work *work, struct err *err) {
    int column = pg_rows_find_column(work->rows, "key");
    for (int row = 0; row < pg_rows_count(work->rows); row++) {
        struct slice key = pg_rows_cell(work->rows, row, column);
        if (!key.data || round_find_key(work->taken, key) < 0) {
            return err_set(err, ERR_INPUT,
                           "the query %s returned the key \"%.*s\", which is not among its :keys",
                           work->reaction->query, (int)key.len, key.data ? key.data : "");
        }
    }
    return true;
}

/* gone: the row of the key's mark; without one another round owns it. */
static bool round_react_row(struct round_work *work, int row, int gone, struct err *err) {
    struct round *round = work->round;
    struct err failure = {0};
    struct script_published published;
    struct slice traceparent = traceparent_read(pg_rows_cell(work->gone, gone, 2));
    log_set_trace_id(traceparent_trace_id(traceparent));
    bool ok = script_react(round->instance, work->index, row, round->arena, &published, &failure) ==
              SCRIPT_OK;
    if (ok) {
        round_note_messages(work, &published, gone);
    } else {
        round_note_failure(work, gone, &failure);
    }
    log_set_trace_id((struct slice){0});
    return ok || script_instance_healthy(round->instance) || round_load_rows(work, err);
}

static bool round_react(struct round_work *work, struct err *err) {
    struct round *round = work->round;
    int key_column = pg_rows_find_column(work->rows, "key");
    work->failed =
        arena_alloc(round->arena, ((size_t)pg_rows_count(work->rows) + 1) * sizeof *work->failed);
    if (!round_check_keys(work, err) || !round_load_rows(work, err)) {
        return false;
    }
    for (int row = 0; row < pg_rows_count(work->rows); row++) {
        int gone = round_find_key(work->gone, pg_rows_cell(work->rows, row, key_column));
        if (gone >= 0 && !round_react_row(work, row, gone, err)) {
            return false;
        }
    }
    return true;
}

/* ---- the commit -------------------------------------------------------------------------- */

/* A column of `gone`, for the failed keys. */
static void round_add_failed_column(struct round_work *work, int column) {
    pg_array_begin(work->round->params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < work->counts->failed; i++) {
        pg_array_bytes(work->round->params, pg_rows_cell(work->gone, work->failed[i].gone, column));
    }
    pg_array_end(work->round->params);
}

static bool round_send_failed(struct round_work *work, struct err *err) {
    struct pg_params *params = work->round->params;
    size_t count = work->counts->failed;
    if (count == 0) {
        return true;
    }
    pg_params_reset(params);
    pg_params_add_text(params, slice_of(work->reaction->name));
    round_add_failed_column(work, 0);
    round_add_failed_column(work, 2);
    pg_array_begin(params, PG_ARRAY_INT4);
    for (size_t i = 0; i < count; i++) {
        pg_array_int(params, strtol(pg_rows_text(work->gone, work->failed[i].gone, 1), NULL, 10));
    }
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < count; i++) {
        pg_array_bytes(params, slice_of(work->failed[i].error));
    }
    pg_array_end(params);
    round_add_failed_column(work, 3);
    return pg_send(work->round->pg, "park_marks", park_failed_sql, params, false, err);
}

static bool round_store(struct round_work *work, struct err *err) {
    struct round *round = work->round;
    struct outbox_stored stored = {0};
    struct round_replies results = {.stored = &stored};
    bool ok = outbox_send(round->pg, round->params, work->messages, work->message_count,
                          round->horizon_hours, err) &&
              round_send_failed(work, err) &&
              pg_send(round->pg, "COMMIT", "COMMIT", NULL, false, err);
    FAULT_POINT("reaction_commit");
    if (!ok || !round_exchange(work, &results, err)) {
        return false;
    }
    if (!round->muted) {
        outbox_stored_count(&stored);
    }
    return true;
}

static void round_count_keys(struct round_work *work) {
    struct round_counts *counts = work->counts;
    counts->keys = (size_t)pg_rows_count(work->taken);
    if (counts->keys > 0) {
        struct slice key = pg_rows_cell(work->taken, 0, 0);
        counts->first_key = arena_copy_utf8(work->round->arena, key).data;
    }
    for (size_t i = 0; i < counts->keys; i++) {
        counts->keys_at_fault |= pg_rows_int(work->taken, (int)i, 1) > 0;
    }
}

static bool round_run_work(struct round_work *work, size_t max_keys, struct err *err) {
    if (!round_take_keys(work, max_keys, err)) {
        return false;
    }
    round_count_keys(work);
    if (work->counts->keys == 0) {
        struct round_replies results = {.stored = NULL};
        return pg_send(work->round->pg, "COMMIT", "COMMIT", NULL, false, err) &&
               round_exchange(work, &results, err);
    }
    FAULT_POINT("reaction_taken");
    if (!round_query(work, err)) {
        return false;
    }
    FAULT_POINT("reaction_asked");
    if (!round_react(work, err) || !round_store(work, err)) {
        return false;
    }
    FAULT_POINT("reaction_stored");
    work->counts->messages = work->message_count;
    return true;
}

/* Rolls back; closes the connection if that fails. */
static void round_roll_back(struct round *round) {
    struct err ignored = {0};
    if (pg_connected(round->pg) &&
        !pg_query(round->pg, "ROLLBACK", "ROLLBACK", NULL, round->timeout_ms, NULL, &ignored)) {
        pg_disconnect(round->pg);
    }
}

enum round_result round_run(struct round *round, size_t reaction, size_t max_keys,
                            struct round_counts *counts, struct err *err) {
    size_t count;
    const struct script_reaction *reactions =
        script_generation_reactions(round->generation, &count);
    struct round_work work = {
        .round = round, .reaction = &reactions[reaction], .index = reaction, .counts = counts};
    *counts = (struct round_counts){0};
    arena_reset(round->arena);
    bool ok = round_run_work(&work, max_keys, err);
    if (!ok) {
        round_roll_back(round);
    }
    pg_rows_free(work.taken);
    pg_rows_free(work.gone);
    pg_rows_free(work.rows);
    if (ok) {
        return ROUND_DONE;
    }
    bool writes = strcmp(err->sqlstate, "25006") == 0; /* a query that may only read */
    bool outage = !writes && (err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT);
    counts->keys_at_fault |= !outage || pg_connected(round->pg);
    return outage ? ROUND_OUTAGE : ROUND_REFUSED;
}

/* ---- its parts ----------------------------------------------------------------------------- */

void round_open(struct round *round, struct pg *pg, struct script_generation *generation) {
    const struct config *config = script_generation_config(generation);
    *round = (struct round){
        .pg = pg,
        .params = pg_params_create(),
        .arena = arena_create(ARENA_CHUNK_BYTES),
        .generation = script_generation_ref(generation),
        .timeout_ms = config->postgres.statement_timeout_ms + GRACE_MS,
        .horizon_hours = config->outbox.horizon_hours,
    };
}

void round_close(struct round *round) {
    script_instance_destroy(round->instance);
    script_generation_unref(round->generation);
    arena_destroy(round->arena);
    pg_params_destroy(round->params);
    pg_destroy(round->pg);
}

/* ---- marks --------------------------------------------------------------------------------- */

bool round_isolate(struct round *round, size_t reaction, const struct round_counts *counts,
                   const char *reason, size_t *max_keys, struct err *err) {
    size_t count;
    const struct script_reaction *reactions =
        script_generation_reactions(round->generation, &count);
    if (counts->keys > 1) {
        *max_keys = (counts->keys + 7) / 8;
        return true;
    }
    pg_params_reset(round->params);
    pg_params_add_text(round->params, slice_of(reactions[reaction].name));
    pg_params_add_text(round->params, slice_of(reason));
    return pg_connect(round->pg, err) && pg_query(round->pg, "park_mark", park_oldest_sql,
                                                  round->params, round->timeout_ms, NULL, err);
}

static void round_add_reactions(struct round *round) {
    size_t count;
    const struct script_reaction *reactions =
        script_generation_reactions(round->generation, &count);
    pg_params_reset(round->params);
    pg_array_begin(round->params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < count; i++) {
        pg_array_bytes(round->params, slice_of(reactions[i].name));
    }
    pg_array_end(round->params);
}

bool round_make_due(struct round *round, struct err *err) {
    round_add_reactions(round);
    return pg_query(round->pg, "marks_due", due_sql, round->params, round->timeout_ms, NULL, err);
}

bool round_look(struct round *round, bool *due, struct err *err) {
    struct pg_result *rows = NULL;
    round_add_reactions(round);
    if (!pg_query(round->pg, "look_at_marks", look_sql, round->params, round->timeout_ms, &rows,
                  err)) {
        return false;
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        due[strtol(pg_rows_text(rows, i, 0), NULL, 10) - 1] = true;
    }
    pg_rows_free(rows);
    return true;
}

bool round_measure(struct round *round, int64_t *marks, double *oldest_s, struct err *err) {
    struct pg_result *rows = NULL;
    pg_params_reset(round->params);
    pg_params_add_int8(round->params, ROUND_COUNT_MAX);
    if (!pg_query(round->pg, "count_marks", measure_sql, round->params, round->timeout_ms, &rows,
                  err)) {
        return false;
    }
    *marks = strtoll(pg_rows_text(rows, 0, 0), NULL, 10);
    *oldest_s = strtod(pg_rows_text(rows, 0, 1), NULL);
    pg_rows_free(rows);
    return true;
}
