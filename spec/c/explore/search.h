/* search: every state that can be reached, depth first; each state once. */
#pragma once

#include "steps.h"

#define DEPTH 400

struct search {
    /* wanted: */
    struct steps_setting setting;
    int64_t seconds; /* after which it ends */
    int most_deep;   /* steps; shorter ways to a known state are gone again where it is not DEPTH */
    /* found: */
    int64_t states, steps, quiet, bytes; /* of all states */
    int deepest;
    bool complete; /* nothing is left that was not looked at */
    char violation[256];
    int trace_length; /* to the violation */
    char trace[DEPTH][STEP_TEXT];
};

void search_make(int table_bits);
/* From the state that the world is in. */
void search_run(struct search *search);
/* The same, for the shortest way to a violation; for so many seconds at most. */
void search_run_shortest(struct search *search);
