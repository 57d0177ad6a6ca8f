/* What the files of the console share. */
#ifndef AGG_HOST_SCRIPT_REPL_PRIVATE_H
#define AGG_HOST_SCRIPT_REPL_PRIVATE_H

#include "repl.h"
#include "script/script_private.h"

struct repl {
    struct script_generation *generation;
    struct script_instance *instance;
    int globals_ref;      /* what lines see as globals: bindings, and what they assign */
    struct buffer output; /* scratch; here, so that an error that jumps leaks nothing */
};

/* repl_show.c: appends the value at `at` as people read it: nested tables, each bounded, and the
 * whole too. No metamethod is called. */
void repl_show(lua_State *L, int at, struct buffer *out);

#endif
