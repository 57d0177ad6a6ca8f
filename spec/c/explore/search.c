/* search: see search.h. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/xalloc.h"
#include "search.h"

/* Of the processor: how busy the machine is decides nothing. */
static int64_t spent_us(void) {
    return clock() * 1000000LL / CLOCKS_PER_SEC;
}

struct frame { /* one state on the way to the one looked at */
    struct snapshot snapshot;
    struct step steps[STEPS];
    int count, next;
    char text[STEP_TEXT]; /* of the step taken */
};

static struct frame frames[DEPTH + 1];
static uint64_t *seen;
static uint8_t *seen_depth;
static uint64_t table_size, table_used;

void search_make(int table_bits) {
    table_size = 1ULL << table_bits;
}

/* Mapped again instead of cleared: untouched pages cost nothing. */
static void make_table(void) {
    free(seen);
    free(seen_depth);
    seen = xcalloc(table_size, sizeof *seen);
    seen_depth = xcalloc(table_size, 1);
    table_used = 0;
}

/* True where the state is new, or was reached by a longer way (and that is asked about). */
static bool note_state(uint64_t hash, int depth, bool depths_matter) {
    uint64_t at = hash % table_size;
    uint8_t rounded = depth < 255 ? (uint8_t)depth : 255;
    hash = hash ? hash : 1;
    while (seen[at] && seen[at] != hash) {
        at = (at + 1) % table_size;
    }
    bool fresh = !seen[at];
    if (!fresh && !(depths_matter && rounded < seen_depth[at])) {
        return false;
    }
    seen[at] = hash;
    seen_depth[at] = rounded;
    table_used += fresh;
    return true;
}

static bool is_quiet(const struct frame *frame) {
    for (int i = 0; i < frame->count; i++) {
        if (frame->steps[i].budget < 0) {
            return false;
        }
    }
    return true;
}

/* The world is in a state not seen before. */
static void enter(struct search *search, int depth) {
    struct frame *frame = &frames[depth];
    world_save(&frame->snapshot);
    frame->count = steps_enabled(&search->setting, frame->steps);
    frame->next = 0;
    search->states++;
    search->bytes += (int64_t)frame->snapshot.len;
    search->deepest = depth > search->deepest ? depth : search->deepest;
    if (is_quiet(frame)) {
        search->quiet++;
        steps_check_quiet(&search->setting);
        world_restore(&frame->snapshot);
    }
}

static void keep_trace(struct search *search, int length) {
    search->trace_length = length;
    for (int i = 0; i < length; i++) {
        memcpy(search->trace[i], frames[i].text, STEP_TEXT);
    }
    memcpy(search->violation, violation_text, sizeof search->violation);
}

static bool is_over(const struct search *search, int64_t until_us) {
    return table_used * 4 > table_size * 3 || (search->steps % 256 == 0 && spent_us() > until_us);
}

void search_run(struct search *search) {
    int64_t until_us = spent_us() + search->seconds * 1000000;
    bool depths_matter = search->most_deep != DEPTH;
    int depth = 0;
    make_table();
    violation_text[0] = search->violation[0] = '\0';
    search->complete = true;
    note_state(world_hash(), 0, depths_matter);
    enter(search, 0);
    while (depth >= 0 && !violation_text[0]) {
        struct frame *frame = &frames[depth];
        if (frame->next == frame->count || depth == search->most_deep) {
            search->complete &= frame->next == frame->count;
            depth--;
            continue;
        }
        if (is_over(search, until_us)) {
            search->complete = false;
            break;
        }
        const struct step *step = &frame->steps[frame->next++];
        world_restore(&frame->snapshot);
        step_describe(step, frame->text);
        step_perform(step);
        search->steps++;
        if (!violation_text[0] && note_state(world_hash(), depth + 1, depths_matter)) {
            enter(search, ++depth);
        } else if (violation_text[0]) {
            depth++;
        }
    }
    if (violation_text[0]) {
        keep_trace(search, depth);
    }
    world_restore(&frames[0].snapshot);
    violation_text[0] = '\0';
}

void search_run_shortest(struct search *search) {
    static struct search shorter;
    int64_t until_us = spent_us() + search->seconds * 1000000;
    while (search->violation[0] && spent_us() < until_us) {
        shorter =
            (struct search){.setting = search->setting, .most_deep = search->trace_length - 1};
        shorter.seconds = (until_us - spent_us()) / 1000000 + 1;
        search_run(&shorter);
        if (!shorter.violation[0]) {
            return;
        }
        search->trace_length = shorter.trace_length;
        memcpy(search->trace, shorter.trace, sizeof search->trace);
        memcpy(search->violation, shorter.violation, sizeof search->violation);
    }
}
