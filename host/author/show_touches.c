/* show_touches: the surrogate keys that an event touches: its merges', as merge_stage adds them,
 * and those of view:touch. */
#include <stdlib.h>

#include "base/xalloc.h"
#include "show.h"

#define ARENA_CHUNK_BYTES 4096

static void show_touches_add(struct show_touches *touches, struct slice id) {
    if (touches->count == touches->capacity) {
        touches->capacity = touches->capacity ? touches->capacity * 2 : 16;
        touches->ids = xrealloc(touches->ids, touches->capacity * sizeof *touches->ids);
    }
    touches->ids[touches->count++] = arena_copy(touches->arena, id);
}

static int show_touches_compare(const void *a, const void *b) {
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static void show_touches_add_key(struct show_touches *touches, const struct view_table *table,
                                 const struct view_value *key) {
    char text[VIEW_VALUE_TEXT_CAP];
    for (size_t i = 0; i < table->key_count; i++) {
        if (view_is_tag(table->key[i].type)) {
            show_touches_add(touches, view_value_text(table->key[i].type, &key[i], text));
        }
    }
}

void show_touches_read(struct show_touches *touches, const struct dry_run_outcome *outcome) {
    size_t distinct = 0;
    *touches = (struct show_touches){.arena = arena_create(ARENA_CHUNK_BYTES)};
    for (size_t i = 0; i < outcome->merge_count; i++) {
        const struct merge_op *op = &outcome->merges[i].op;
        show_touches_add_key(touches, &outcome->view->tables[op->table], op->key);
    }
    for (const struct script_touch *one = outcome->touches; one; one = one->before) {
        show_touches_add(touches, one->id);
    }
    if (touches->count > 1) {
        qsort(touches->ids, touches->count, sizeof *touches->ids, show_touches_compare);
    }
    for (size_t i = 0; i < touches->count; i++) {
        if (distinct == 0 || !slice_equal(touches->ids[i], touches->ids[distinct - 1])) {
            touches->ids[distinct++] = touches->ids[i];
        }
    }
    touches->count = distinct;
}

void show_touches_free(struct show_touches *touches) {
    arena_destroy(touches->arena);
    free(touches->ids);
}
