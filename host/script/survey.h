/* survey: reads the bytecode of compiled files (jit.util). It leaves out of the compiler what
 * LuaJIT of 2023 compiles wrongly:
 *
 * - functions that store a value under an outer local. Code that was compiled while the local was
 *   on the stack omits the barrier of the garbage collector, which frees the value too early, once
 *   the local has left the stack (LuaJIT's commit 07b3cd3c);
 * - functions with a frame that is nearly as wide as LuaJIT's recorder, which may write beyond its
 *   own (302366a3, 048972db).
 *
 * And it finds the loops and functions that the compiler has given up: it marks them in the
 * bytecode. That takes no event of the compiler (jit.attach), which LuaJIT of 2023 cannot report
 * safely after an error. */
#pragma once

#include <lua.h>
#include <stdbool.h>

#include "base/buffer.h"

struct script_instance;

/* Prepares a state whose compiler is on. May raise. */
void survey_open(lua_State *L);
/* Leaves out the doubtful functions of a text, whose own function is at the top. `is_file`:
 * survey_note looks at it from now on. May raise. */
void survey_take(lua_State *L, bool is_file);

/* Notes for the process what the instance's compiler has given up. Of an instance that no call
 * uses; its owner's thread. */
void survey_note(struct script_instance *instance);
/* The instance closes: what it noted no longer counts. */
void survey_forget(struct script_instance *instance);
/* Appends a list of objects for at most some twenty places: the line of a loop or function, and in
 * how many states it was given up. Any thread. */
void survey_report(struct buffer *json);
