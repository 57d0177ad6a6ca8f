/* Shared by the files of the console. */
#pragma once

#include "repl.h"
#include "script/script_private.h"

struct repl {
    struct script_generation *generation;
    struct script_instance *instance;
    int globals_ref;      /* the lines' globals: bindings, and what they assign */
    int show_ref;         /* the function that shows a value */
    struct buffer output; /* scratch; here, so that a raised error leaks nothing */
};

/* repl_show.c: pushes the function of repl_show.lua. */
void repl_show_push(lua_State *L);
