/* database_offsets: one row for each partition. A batch moves the offset by compare-and-set and
 * adds the counts of its events' outcomes, so that every event is counted. */
#include "database_offsets.h"

#include <endian.h>
#include <stdlib.h>

#include "base/uuid.h"
#include "base/xalloc.h"
#include "pipeline.h"
#include "pipeline/database_offsets.sql.h"

static int database_offsets_timeout_ms(const struct pipeline *pipeline) {
    return pipeline->config->postgres.statement_timeout_ms + 1000;
}

static void database_offsets_fill_names(struct pipeline *pipeline,
                                        const struct partitions *partitions) {
    struct pg_params *params = pipeline->params;
    pg_params_reset(params);
    pg_params_add_text(params, slice_of(pipeline->options.group));
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < partitions->count; i++) {
        pg_array_bytes(params, slice_of(partitions->items[i].topic));
    }
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_INT4);
    for (size_t i = 0; i < partitions->count; i++) {
        pg_array_int(params, partitions->items[i].number);
    }
    pg_array_end(params);
}

#define OFFSETS_OF_TIMELINE 0x9E3779B97F4A7C15 /* odd, and its bits are spread */

uint64_t offsets_epoch(const struct pg_result *rows, int row, int column) {
    uint64_t timeline = strtoull(pg_rows_text(rows, row, column + 3), NULL, 16);
    return strtoull(pg_rows_text(rows, row, column), NULL, 10) * 31 +
           strtoull(pg_rows_text(rows, row, column + 1), NULL, 10) * 7 +
           strtoull(pg_rows_text(rows, row, column + 2), NULL, 10) +
           (timeline > 1 ? timeline * OFFSETS_OF_TIMELINE : 0);
}

bool offsets_ask_epoch(struct pg *pg, int timeout_ms, uint64_t *epoch, struct err *err) {
    struct pg_result *row = NULL;
    if (!pg_query(pg, "view_epoch", epoch_sql, NULL, timeout_ms, &row, err)) {
        return false;
    }
    *epoch = offsets_epoch(row, 0, 0);
    pg_rows_free(row);
    return true;
}

bool offsets_read_epoch(struct pipeline *pipeline, struct err *err) {
    const struct view *view = script_generation_view(pipeline->generation);
    int timeout_ms = database_offsets_timeout_ms(pipeline);
    if (!horizon_read(&pipeline->horizon, view, pipeline->pg, timeout_ms, err) ||
        !offsets_ask_epoch(pipeline->pg, timeout_ms, &pipeline->view_epoch, err)) {
        return false;
    }
    if (pipeline->options.cache) {
        cache_set_view(pipeline->options.cache, pipeline->view_epoch);
    }
    return true;
}

static void database_offsets_take(struct partition *partition, const struct pg_result *rows,
                                  int row) {
    partition->next_offset = strtoll(pg_rows_text(rows, row, 2), NULL, 10);
    partition->committed_offset = partition->next_offset;
    partition->fresh_offset = strtoll(pg_rows_text(rows, row, 3), NULL, 10);
    partition->committed_time_us =
        pg_rows_is_null(rows, row, 4) ? 0 : strtoll(pg_rows_text(rows, row, 4), NULL, 10);
    free(partition->position);
    partition->position = xstrdup(pg_rows_text(rows, row, 5));
    partition->counted = strtoll(pg_rows_text(rows, row, 6), NULL, 10);
    partition->passed_offset = strtoll(pg_rows_text(rows, row, 7), NULL, 10);
}

/* *found: how many partitions have a row. */
static bool database_offsets_read(struct pipeline *pipeline, size_t *found, struct err *err) {
    struct pg_result *rows = NULL;
    database_offsets_fill_names(pipeline, &pipeline->partitions);
    if (!pg_query(pipeline->pg, "load_offsets", load_sql, pipeline->params,
                  database_offsets_timeout_ms(pipeline), &rows, err)) {
        return false;
    }
    *found = (size_t)pg_rows_count(rows);
    for (int i = 0; i < pg_rows_count(rows); i++) {
        size_t at = partitions_find(&pipeline->partitions, pg_rows_text(rows, i, 0),
                                    (int32_t)strtol(pg_rows_text(rows, i, 1), NULL, 10));
        if (at != PARTITION_NONE) {
            database_offsets_take(&pipeline->partitions.items[at], rows, i);
        }
    }
    pg_rows_free(rows);
    return true;
}

static bool database_offsets_add(struct pipeline *pipeline, struct err *err) {
    database_offsets_fill_names(pipeline, &pipeline->partitions);
    return pg_query(pipeline->pg, "add_offsets", add_sql, pipeline->params,
                    database_offsets_timeout_ms(pipeline), NULL, err);
}

bool offsets_have_rows(struct pipeline *pipeline, bool *all, struct err *err) {
    size_t found = 0;
    bool ok = database_offsets_read(pipeline, &found, err);
    *all = found == pipeline->partitions.count;
    return ok;
}

bool offsets_add_topics(struct pipeline *pipeline, const struct partitions *all, struct err *err) {
    database_offsets_fill_names(pipeline, all);
    return pg_query(pipeline->pg, "add_topics", add_topics_sql, pipeline->params,
                    database_offsets_timeout_ms(pipeline), NULL, err);
}

/* A rebalance brings partitions that have rows already, as a rule: one round trip. */
bool offsets_load(struct pipeline *pipeline, struct err *err) {
    size_t found = 0, count = pipeline->partitions.count;
    bool ok = offsets_read_epoch(pipeline, err) && database_offsets_read(pipeline, &found, err);
    if (ok && found < count) {
        ok = database_offsets_add(pipeline, err) && database_offsets_read(pipeline, &found, err);
    }
    return ok &&
           (found == count || err_set(err, ERR_UNAVAILABLE,
                                      "%zu of %zu offsets are in consumer_offsets", found, count));
}

bool offsets_unmoved(struct pipeline *pipeline, struct err *err) {
    struct pg_result *row = NULL;
    database_offsets_fill_names(pipeline, &pipeline->partitions);
    pg_array_begin(pipeline->params, PG_ARRAY_INT8);
    for (size_t i = 0; i < pipeline->partitions.count; i++) {
        pg_array_int(pipeline->params, pipeline->partitions.items[i].committed_offset);
    }
    pg_array_end(pipeline->params);
    if (!pg_query(pipeline->pg, "offsets_unmoved", unmoved_sql, pipeline->params,
                  database_offsets_timeout_ms(pipeline), &row, err)) {
        return false;
    }
    bool unmoved = strcmp(pg_rows_text(row, 0, 0), "t") == 0;
    pg_rows_free(row);
    return unmoved;
}

/* ---- outcomes of a batch's events ---------------------------------------------------------- */

enum outcome { APPLIED, SUPERSEDED, IGNORED, DUPLICATE, REJECTED, EXPIRED, OUTCOMES };

struct tally {
    int64_t counts[OUTCOMES];
};

void offsets_note_committed(struct pipeline *pipeline, const struct batch *batch) {
    for (size_t i = 0; i < batch->touched_count; i++) {
        size_t p = batch->touched[i];
        if (batch->advances[p].next >= 0) {
            pipeline->partitions.items[p].committed_offset = batch->advances[p].next;
        }
    }
    for (size_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if (event->state != EVENT_WAITS) {
            pipeline->partitions.items[event->record.partition].counted++;
        }
    }
}

static enum outcome database_offsets_outcome_of(const struct event *event) {
    switch (event->state) {
    case EVENT_IGNORED:
    case EVENT_OUTSIDE:
        return IGNORED;
    case EVENT_EXPIRED:
        return EXPIRED;
    case EVENT_DUPLICATE:
        return DUPLICATE;
    case EVENT_REJECTED:
        return REJECTED;
    default:
        return event->superseded ? SUPERSEDED : APPLIED;
    }
}

/* By partition; those of partitions that the batch did not touch are not set. */
static struct tally *database_offsets_count_outcomes(const struct pipeline *pipeline,
                                                     const struct batch *batch) {
    size_t bytes = (pipeline->partitions.count + 1) * sizeof(struct tally);
    struct tally *tallies = arena_alloc(merge_arena(batch->merge), bytes);
    for (size_t i = 0; i < batch->touched_count; i++) {
        tallies[batch->touched[i]] = (struct tally){0};
    }
    for (size_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        tallies[event->record.partition].counts[database_offsets_outcome_of(event)] +=
            event->state != EVENT_WAITS;
    }
    return tallies;
}

enum { TOPIC, NUMBER, EXPECTED, NEXT, LAST_TIME, FIRST_COUNT, COLUMNS = FIRST_COUNT + OUTCOMES };

static const enum pg_array column_types[COLUMNS] = {
    [TOPIC] = PG_ARRAY_TEXT,
    [NUMBER] = PG_ARRAY_INT4,
    [EXPECTED] = PG_ARRAY_INT8,
    [NEXT] = PG_ARRAY_INT8,
    [LAST_TIME] = PG_ARRAY_TIMESTAMPTZ,
    [FIRST_COUNT... COLUMNS - 1] = PG_ARRAY_INT4,
};

static void database_offsets_put_cell(struct pg_params *params, const struct partition *partition,
                                      const struct advance *advance, const struct tally *tally,
                                      int column) {
    if (column == TOPIC) {
        pg_array_bytes(params, slice_of(partition->topic));
    } else if (column == LAST_TIME) {
        advance->last_time_us > 0 ? pg_array_timestamp(params, advance->last_time_us)
                                  : pg_array_null(params);
    } else {
        pg_array_int(params, column == NUMBER     ? partition->number
                             : column == EXPECTED ? advance->expected
                             : column == NEXT     ? advance->next
                                                  : tally->counts[column - FIRST_COUNT]);
    }
}

/* What the batch touches, for others to announce if this process dies before it has
 * (unannounced.h), under a number that no other transaction has. Nulls where nobody would, or if it
 * is too much. */
static void database_offsets_add_commit(struct pipeline *pipeline, const struct batch *batch) {
    struct pg_params *params = pipeline->params;
    size_t count = 0;
    bool announces = pipeline->options.cache && pipeline->announcer.redis;
    const uint64_t *tags = announces ? merge_tags(batch->merge, &count) : NULL;
    if (!announces || count > OFFSETS_TAGS_MAX) {
        pg_params_add_null(params);
        pg_params_add_null(params);
        return;
    }
    uint64_t *wire = arena_alloc(merge_arena(batch->merge), (count + 1) * sizeof *wire);
    for (size_t i = 0; i < count; i++) {
        wire[i] = htobe64(tags[i]);
    }
    uint8_t id[16];
    char text[UUID_TEXT_LEN + 1];
    uuid_generate_v4(id);
    uuid_format(id, text);
    pg_params_add_text(params, slice_of(text));
    pg_params_add_bytea(params, (struct slice){(const char *)wire, count * sizeof *wire});
}

/* The first columns of the partitions whose offset moves. */
static void database_offsets_add_columns(struct pipeline *pipeline, const struct batch *batch,
                                         const struct tally *tallies, int columns) {
    struct pg_params *params = pipeline->params;
    for (int column = 0; column < columns; column++) {
        pg_array_begin(params, column_types[column]);
        for (size_t i = 0; i < batch->touched_count; i++) {
            size_t p = batch->touched[i];
            if (batch->advances[p].next >= 0) {
                database_offsets_put_cell(params, &pipeline->partitions.items[p],
                                          &batch->advances[p], &tallies[p], column);
            }
        }
        pg_array_end(params);
    }
}

bool offsets_send_lock(struct pipeline *pipeline, const struct batch *batch, struct err *err) {
    const struct tally *tallies = database_offsets_count_outcomes(pipeline, batch);
    pg_params_reset(pipeline->params);
    pg_params_add_text(pipeline->params, slice_of(pipeline->options.group));
    database_offsets_add_columns(pipeline, batch, tallies, EXPECTED);
    return pg_send(pipeline->pg, "lock_offsets", lock_sql, pipeline->params, false, err);
}

bool offsets_send(struct pipeline *pipeline, const struct batch *batch, struct err *err) {
    struct pg_params *params = pipeline->params;
    const struct tally *tallies = database_offsets_count_outcomes(pipeline, batch);
    pg_params_reset(params);
    pg_params_add_text(params, slice_of(pipeline->options.group));
    pg_params_add_text(params, slice_of(script_generation_hash(batch->generation)));
    database_offsets_add_columns(pipeline, batch, tallies, COLUMNS);
    database_offsets_add_commit(pipeline, batch);
    return pg_send(pipeline->pg, "advance_offsets", advance_sql, params, false, err);
}

bool offsets_move(struct pipeline *pipeline, const int64_t *next, struct err *err) {
    static const struct tally none;
    struct partition *partitions = pipeline->partitions.items;
    struct pg_params *params = pipeline->params;
    size_t count = pipeline->partitions.count, moved = 0;
    pg_params_reset(params);
    pg_params_add_text(params, slice_of(pipeline->options.group));
    for (int column = TOPIC; column <= NEXT; column++) {
        pg_array_begin(params, column_types[column]);
        for (size_t i = 0; i < count; i++) {
            struct advance advance = {.expected = partitions[i].next_offset, .next = next[i]};
            if (advance.next != advance.expected) {
                database_offsets_put_cell(params, &partitions[i], &advance, &none, column);
                moved++;
            }
        }
        pg_array_end(params);
    }
    if (moved == 0) {
        return true;
    }
    if (!pg_query(pipeline->pg, "move_offsets", move_sql, params,
                  database_offsets_timeout_ms(pipeline), NULL, err)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (next[i] != partitions[i].next_offset) {
            partitions[i].next_offset = partitions[i].committed_offset = next[i];
            partitions[i].committed_time_us = 0;
        }
    }
    return true;
}
