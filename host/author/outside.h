/* outside: what tried scripts get in the place of other systems: the doubles that a file sets, or
 * the database, read-only. One thread. */
#pragma once

#include "spec/stubs.h"
#include "calls.h"

struct outside { /* begin: {0} */
    struct stubs *stubs;
    struct calls calls;
    struct script_states states;
    const char *muted; /* the reason for script_instance_mute */
};

/* Sets how the generation's states are opened: with the doubles of specs, as the file `stubs` sets
 * them; NULL: with the database. Both outlive the states. False: ERR_INPUT. */
bool outside_open(struct outside *outside, struct script_generation *generation, const char *stubs,
                  struct err *err);
void outside_close(struct outside *outside);
