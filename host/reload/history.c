#include "history.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json_put.h"
#include "generation_store.h"

static size_t history_index_of(const struct history *history, uint64_t number) {
    size_t at = 0;
    while (at < history->count && script_generation_number(history->items[at]) != number) {
        at++;
    }
    return at;
}

void history_add(struct history *history, struct script_generation *generation) {
    size_t at = history_index_of(history, script_generation_number(generation));
    script_generation_ref(generation);
    if (at == history->count && history->count < HISTORY_MOST) {
        history->count++;
    } else if (at == history->count) {
        script_generation_unref(history->items[--at]);
    } else {
        script_generation_unref(history->items[at]);
    }
    memmove(history->items + 1, history->items, at * sizeof *history->items);
    memmove(history->since_us + 1, history->since_us, at * sizeof *history->since_us);
    history->items[0] = generation;
    history->since_us[0] = clock_wall_us();
}

struct script_generation *history_running(const struct history *history) {
    return history->items[0];
}

bool history_is_named(const struct script_generation *generation, struct slice which) {
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, script_generation_number(generation));
    return slice_equal(slice_of(number), which) ||
           (which.len >= GENERATION_STORE_LEAST_DIGITS &&
            strncmp(script_generation_hash(generation), which.data, which.len) == 0);
}

/* The least number above `floor`; 0: none. The running generation is left out. */
static uint64_t history_next_number(const struct history *history, uint64_t floor) {
    uint64_t least = 0;
    for (size_t i = 1; i < history->count; i++) {
        uint64_t number = script_generation_number(history->items[i]);
        if (number > floor && (least == 0 || number < least)) {
            least = number;
        }
    }
    return least;
}

/* Always NULL. */
static struct script_generation *history_fail(const struct history *history, struct slice which,
                                              struct err *err) {
    struct buffer numbers = {0};
    for (uint64_t at = history_next_number(history, 0); at; at = history_next_number(history, at)) {
        buffer_append_format(&numbers, "%s%" PRIu64, numbers.len ? ", " : "; kept are: ", at);
    }
    err_set(err, ERR_INPUT, "generation %.*s is unknown%s", (int)which.len, which.data,
            numbers.len ? numbers.data : "");
    buffer_free(&numbers);
    return NULL;
}

struct script_generation *history_find(const struct history *history, struct slice which,
                                       struct err *err) {
    size_t at = which.len == 0;
    while (which.len > 0 && at < history->count && !history_is_named(history->items[at], which)) {
        at++;
    }
    if (at == 0) {
        err_set(err, ERR_INPUT, "generation %.*s is running already", (int)which.len, which.data);
        return NULL;
    }
    if (at < history->count) {
        return script_generation_ref(history->items[at]);
    }
    return which.len > 0 && which.len < GENERATION_STORE_LEAST_DIGITS
               ? history_fail(history, which, err)
               : NULL;
}

void history_list(const struct history *history, struct buffer *json) {
    buffer_append_text(json, "[");
    for (size_t i = 0; i < history->count; i++) {
        json_open(json, NULL, "{");
        json_put_int(json, "generation", (int64_t)script_generation_number(history->items[i]));
        json_put_text(json, "hash", slice_of(script_generation_hash(history->items[i])));
        json_put_time(json, "since", history->since_us[i]);
        json_put_bool(json, "running", i == 0);
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
}

void history_clear(struct history *history) {
    for (size_t i = 0; i < history->count; i++) {
        script_generation_unref(history->items[i]);
    }
    history->count = 0;
}
