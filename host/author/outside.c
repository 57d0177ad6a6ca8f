#include "outside.h"

static bool outside_prepare(void *context, struct script_instance *instance, struct err *err) {
    const struct outside *outside = context;
    return (!outside->stubs || stubs_install(outside->stubs, instance, err)) &&
           calls_open(&outside->calls, instance, err);
}

bool outside_open(struct outside *outside, struct script_generation *generation, const char *stubs,
                  struct err *err) {
    if (stubs) {
        outside->stubs = stubs_read(STUBS_SUPPORT, stubs, err);
        if (!outside->stubs) {
            return false;
        }
        outside->muted = "try touches no outside system";
    } else {
        outside->states.read_only = true;
        outside->states.asks = "pg";
        outside->calls.keeps_records = true;
        outside->muted = "try asks the database alone: --stubs FILE sets other replies";
    }
    outside->states.prepare = outside_prepare;
    outside->states.context = outside;
    script_generation_set_states(generation, &outside->states);
    return true;
}

void outside_close(struct outside *outside) {
    stubs_destroy(outside->stubs);
    *outside = (struct outside){0};
}
