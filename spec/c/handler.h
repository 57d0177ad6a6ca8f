/* handler: the one handler of a test, in a state of its own. A test begins `scripts`, writes the
 * handler, and calls handler_open. */
#pragma once

#include "scripts.h"

static struct scripts scripts;
static struct script_generation *generation;
static struct script_instance *instance;
static struct merge *merge;
static struct arena *arena;
static struct err err; /* of the last event */

static inline void handler_open(void) {
    instance = scripts_load(&scripts, &generation);
    arena = arena_create(4096);
    merge = merge_create(script_generation_view(generation));
}

/* Gives it SCRIPTS_EVENT. */
static inline enum script_result handle(void) {
    struct extract_value *values = scripts_event(generation, arena, SCRIPTS_EVENT);
    err_clear(&err);
    enum script_result result = script_handle(instance, 0, values, merge, &err);
    merge_discard(merge);
    return result;
}

static inline void unload(void) {
    merge_destroy(merge);
    arena_destroy(arena);
    scripts_unload(&scripts, generation, instance);
}
