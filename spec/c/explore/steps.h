/* steps: what can happen next in a state, and how it happens. */
#pragma once

#include "world.h"

#define STEPS 96
#define STEP_TEXT 112

enum step_kind {
    STEP_WAKE,    /* an actor whose condition is true; `what` is its signal */
    STEP_EXECUTE, /* the server, the next command of a connection */
    STEP_REQUEST, /* a reader is asked for a key */
    STEP_COMMIT,  /* of the tags in `what`, a bit each */
    STEP_ANNOUNCEMENT_LATE,
    STEP_LOSE,
    STEP_SILENCE,
    STEP_KILL,
    STEP_FREEZE,
    STEP_START,
    STEP_TAKE_OVER,
    STEP_SERVER_CRASH,
    STEP_SERVER_WIPE,
    STEP_SERVER_RESTORE,
    STEP_SERVER_FLUSH,
    STEP_SERVER_START,
    STEP_SERVER_SAVE,
    STEP_REFUSE,
    STEP_TAKE_AGAIN,
    STEP_EVICT,
    STEP_DATABASE_START
};

struct step {
    enum step_kind kind;
    int who, what;
    int budget; /* that it takes one from; -1: it happens by itself, sooner or later */
};

/* What is asked for and committed, and who is there. */
struct steps_setting {
    int keys;    /* that are asked for, from 0 on */
    int commits; /* a bit for each set of tags that a commit may have: 1 << tags */
    int processes;
};

int steps_enabled(const struct steps_setting *setting, struct step steps[STEPS]);
void step_describe(const struct step *step, char text[STEP_TEXT]);
void step_perform(const struct step *step);
/* Has everything happen that happens by itself, in some order. False: it does not end. */
bool steps_settle(const struct steps_setting *setting);
/* In a state without enabled steps: every process answers every key with the contents of
 * the database, and a second time from its own memory. Changes the state. */
void steps_check_quiet(const struct steps_setting *setting);
