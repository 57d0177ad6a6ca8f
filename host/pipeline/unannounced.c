#include "unannounced.h"

#include <stdlib.h>

#include "base/hex.h"
#include "base/xalloc.h"
#include "database_offsets.h"
#include "pipeline/unannounced.sql.h"
#include "schema/program_schema.h"

enum { NAME, COUNTED, EVENTS, COMMIT, TAGS, EPOCH };
#define TAG_DIGITS 16

static bool unannounced_ask(struct pg *pg, int timeout_ms, const struct cache_announcement *late,
                            struct pg_result **rows, struct err *err) {
    struct pg_params *params = pg_params_create();
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < late->position_count; i++) {
        pg_array_bytes(params, slice_of(late->positions[i].name));
    }
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_INT8);
    for (size_t i = 0; i < late->position_count; i++) {
        pg_array_int(params, strtoll(late->positions[i].announced, NULL, 10));
    }
    pg_array_end(params);
    bool ok = pg_query(pg, "last_commits", last_commits_sql, params, timeout_ms, rows, err);
    pg_params_destroy(params);
    return ok;
}

/* On Citus a commit's offsets may be visible before its rows: a response that is asked for behind
 * the announcement must have the rows. */
static bool unannounced_await_commits(struct pg *pg, int timeout_ms, struct err *err) {
    return pg_query(pg, "await_commits", PROGRAM_AWAIT_COMMITS, NULL, timeout_ms, NULL, err);
}

static uint64_t unannounced_number(const struct pg_result *rows, int row, int column) {
    return strtoull(pg_rows_text(rows, row, column), NULL, 10);
}

/* The row that is the last commit of the position, from *row on, and no other commit is missing.
 * -1: none. */
static int unannounced_find_commit(const struct pg_result *rows, int *row,
                                   const struct cache_position *late) {
    int count = pg_rows_count(rows);
    while (*row < count && strcmp(pg_rows_text(rows, *row, NAME), late->name) < 0) {
        ++*row;
    }
    if (*row == count || strcmp(pg_rows_text(rows, *row, NAME), late->name) != 0) {
        return -1;
    }
    uint64_t counted = unannounced_number(rows, *row, COUNTED);
    uint64_t announced = strtoull(late->announced, NULL, 10);
    bool is_last =
        counted == late->counted && announced + unannounced_number(rows, *row, EVENTS) == counted;
    return is_last ? *row : -1;
}

static uint64_t unannounced_read_tag(const char *digits) {
    uint64_t tag = 0;
    for (size_t i = 0; i < TAG_DIGITS; i++) {
        tag = tag << 4 | (uint64_t)hex_digit(digits[i]);
    }
    return tag;
}

static void unannounced_add_tags(uint64_t *tags, size_t *count, const char *digits) {
    for (size_t len = strlen(digits); len >= TAG_DIGITS; len -= TAG_DIGITS) {
        tags[(*count)++] = unannounced_read_tag(digits);
        digits += TAG_DIGITS;
    }
}

/* The rows with tags: one a transaction, whatever number of partitions it moved. */
static int *unannounced_list_tagged(const struct pg_result *rows, size_t *count, size_t *digits) {
    int row_count = pg_rows_count(rows);
    int *tagged = xcalloc((size_t)row_count + 1, sizeof *tagged);
    *count = *digits = 0;
    for (int row = 0; row < row_count; row++) {
        if (!pg_rows_is_null(rows, row, TAGS)) {
            tagged[(*count)++] = row;
            *digits += strlen(pg_rows_text(rows, row, TAGS));
        }
    }
    return tagged;
}

static bool unannounced_has_tags(const struct pg_result *rows, const int *tagged, size_t count,
                                 const char *commit) {
    size_t at = 0;
    while (at < count && strcmp(pg_rows_text(rows, tagged[at], COMMIT), commit) != 0) {
        at++;
    }
    return at < count;
}

/* Each position is that of one commit more than was announced, and what it touched is known. */
static bool unannounced_explain(const struct pg_result *rows, const struct cache_announcement *late,
                                const int *tagged, size_t tagged_count,
                                struct cache_position *positions) {
    int row = 0;
    for (size_t i = 0; i < late->position_count; i++) {
        int commit = unannounced_find_commit(rows, &row, &late->positions[i]);
        if (commit < 0 ||
            !unannounced_has_tags(rows, tagged, tagged_count, pg_rows_text(rows, commit, COMMIT))) {
            return false;
        }
        positions[i] = late->positions[i];
        positions[i].before = strtoull(late->positions[i].announced, NULL, 10);
    }
    return true;
}

/* The other partitions of these commits. */
static void unannounced_add_others(const struct pg_result *rows,
                                   const struct cache_announcement *late,
                                   struct cache_position *positions, size_t *count) {
    size_t at = 0;
    for (int row = 0; row < pg_rows_count(rows); row++) {
        const char *name = pg_rows_text(rows, row, NAME);
        while (at < late->position_count && strcmp(late->positions[at].name, name) < 0) {
            at++;
        }
        if (at == late->position_count || strcmp(late->positions[at].name, name) != 0) {
            uint64_t counted = unannounced_number(rows, row, COUNTED);
            positions[(*count)++] = (struct cache_position){
                .name = name,
                .before = counted - unannounced_number(rows, row, EVENTS),
                .counted = counted,
            };
        }
    }
}

/* False: what a commit touched is not known. */
static bool unannounced_read(const struct cache_announcement *late, struct unannounced *found) {
    const struct pg_result *rows = found->rows;
    size_t tagged_count, digits;
    int *tagged = unannounced_list_tagged(rows, &tagged_count, &digits);
    size_t most = late->position_count + (size_t)pg_rows_count(rows);
    struct cache_position *positions = xcalloc(most + 1, sizeof *positions);
    uint64_t *tags = xcalloc(digits / TAG_DIGITS + 1, sizeof *tags);
    found->announcement = (struct cache_announcement){
        .view = late->view,
        .tags = tags,
        .positions = positions,
        .position_count = late->position_count,
    };
    bool known = pg_rows_count(rows) > 0 && offsets_epoch(rows, 0, EPOCH) == late->view &&
                 unannounced_explain(rows, late, tagged, tagged_count, positions);
    if (known) {
        unannounced_add_others(rows, late, positions, &found->announcement.position_count);
    }
    for (size_t i = 0; known && i < tagged_count; i++) {
        unannounced_add_tags(tags, &found->announcement.tag_count,
                             pg_rows_text(rows, tagged[i], TAGS));
    }
    free(tagged);
    return known;
}

bool unannounced_find(struct pg *pg, int timeout_ms, const struct cache_announcement *late,
                      struct unannounced *found, struct err *err) {
    *found = (struct unannounced){0};
    if (!unannounced_await_commits(pg, timeout_ms, err) ||
        !unannounced_ask(pg, timeout_ms, late, &found->rows, err)) {
        return false;
    }
    bool known = unannounced_read(late, found);
    if (!known) {
        unannounced_free(found);
    }
    return known;
}

void unannounced_free(struct unannounced *found) {
    free((void *)found->announcement.positions);
    free((void *)found->announcement.tags);
    pg_rows_free(found->rows);
    *found = (struct unannounced){0};
}
