/* coverage: executed lines of the scripts, over all states of a test run. One thread. */
#pragma once

#include <lua.h>

struct bundle;
struct coverage;

/* Counts the Lua files of the bundle, which must outlive it. */
struct coverage *coverage_create(const struct bundle *bundle);
void coverage_destroy(struct coverage *coverage);
/* From a line hook: `where` has the line. Ignores other files. */
void coverage_count(struct coverage *coverage, lua_State *L, lua_Debug *where);
/* Pushes a list of { path = text, text = text, hits = { [line] = true } }. May raise. */
void coverage_push(const struct coverage *coverage, lua_State *L);
