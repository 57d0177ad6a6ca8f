#include "kept.h"

#include <inttypes.h>
#include <stdio.h>

#include "../base/clock.h"
#include "../base/json_put.h"
#include "store.h"

static size_t index_of(const struct kept *kept, uint64_t number) {
    size_t at = 0;
    while (at < kept->count && script_generation_number(kept->items[at]) != number) {
        at++;
    }
    return at;
}

void kept_add(struct kept *kept, struct script_generation *generation) {
    size_t at = index_of(kept, script_generation_number(generation));
    script_generation_ref(generation);
    if (at == kept->count && kept->count < KEPT_MOST) {
        kept->count++;
    } else if (at == kept->count) {
        script_generation_unref(kept->items[--at]);
    } else {
        script_generation_unref(kept->items[at]);
    }
    memmove(kept->items + 1, kept->items, at * sizeof *kept->items);
    memmove(kept->since_us + 1, kept->since_us, at * sizeof *kept->since_us);
    kept->items[0] = generation;
    kept->since_us[0] = clock_wall_us();
}

struct script_generation *kept_running(const struct kept *kept) {
    return kept->items[0];
}

static bool is_named(const struct script_generation *generation, struct slice which) {
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, script_generation_number(generation));
    return slice_equal(slice_of(number), which) ||
           (which.len >= STORE_LEAST_DIGITS &&
            strncmp(script_generation_hash(generation), which.data, which.len) == 0);
}

static size_t index_named(const struct kept *kept, struct slice which) {
    size_t at = 0;
    while (at < kept->count && !is_named(kept->items[at], which)) {
        at++;
    }
    return at;
}

static struct script_generation *fail(const struct kept *kept, struct slice which,
                                      struct err *err) {
    struct buffer numbers = {0};
    buffer_append_text(&numbers, "");
    for (size_t i = 1; i < kept->count; i++) {
        buffer_append_format(&numbers, "%s%" PRIu64, i > 1 ? ", " : "; kept are: ",
                             script_generation_number(kept->items[i]));
    }
    err_set(err, ERR_INPUT, "there is no generation %.*s%s", (int)which.len, which.data,
            numbers.data);
    buffer_free(&numbers);
    return NULL;
}

struct script_generation *kept_find(const struct kept *kept, struct slice which, struct err *err) {
    size_t at = which.len == 0 ? 1 : index_named(kept, which);
    if (at > 0 && at < kept->count) {
        return script_generation_ref(kept->items[at]);
    }
    if (at == 0) {
        err_set(err, ERR_INPUT, "generation %.*s runs already", (int)which.len, which.data);
    } else if (which.len > 0 && which.len < STORE_LEAST_DIGITS) {
        return fail(kept, which, err);
    }
    return NULL;
}

void kept_list(const struct kept *kept, struct buffer *json) {
    buffer_append_text(json, "[");
    for (size_t i = 0; i < kept->count; i++) {
        json_put_name(json, NULL);
        buffer_append_text(json, "{");
        json_put_int(json, "generation", (int64_t)script_generation_number(kept->items[i]));
        json_put_text(json, "hash", slice_of(script_generation_hash(kept->items[i])));
        json_put_time(json, "since", kept->since_us[i]);
        json_put_bool(json, "running", i == 0);
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
}

void kept_clear(struct kept *kept) {
    for (size_t i = 0; i < kept->count; i++) {
        script_generation_unref(kept->items[i]);
    }
    kept->count = 0;
}
