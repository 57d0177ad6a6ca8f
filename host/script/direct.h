/* direct: `event` and `view` of a state whose scripts are compiled. Lua of the host (direct.lua),
 * generated from the declarations, reads the extracted values and stages merges over the FFI, so
 * that the compiler turns a handler and its accesses into one trace. Scripts have no `ffi` and see
 * no cdata. What the host's Lua cannot do it leaves to the functions of interpreted states, which
 * raise every error. */
#pragma once

#include "script_private.h"

/* The name of the merges that merge_sites.c recognizes, in scripts: a byte that stands in no UTF-8
 * text, as FUEL_GUARD. */
#define DIRECT_MERGE "\xF6"
/* The name of the references to an event's texts, likewise: { [event] = { FIELD = reference } }. */
#define DIRECT_REFERENCES DIRECT_MERGE DIRECT_MERGE
/* In a plan, before the group or column whose key or value may be a reference. */
#define DIRECT_MARK "."

/* Opens the FFI for the host's Lua. Call before functions are removed from the globals. Raises. */
void direct_open(lua_State *L);
/* Takes over the reads of a handler's `event`, whose proxy is at the top. None of its fields is a
 * list. */
void direct_take_event(lua_State *L, size_t handler);
/* Takes over the merges of literal columns, and view:touch. The view's proxy is at the top. */
void direct_take_view(lua_State *L);
/* For __index of globals: pushes what the key at `at` names, DIRECT_MERGE or DIRECT_REFERENCES.
 * False: it is another key, and nothing is pushed. */
bool direct_find_global(lua_State *L, int at);

/* direct_calls.c: what the host's Lua calls over the FFI. None of them calls Lua or raises: the
 * compiler keeps Lua's values in registers meanwhile. */
struct direct_calls;
extern const struct direct_calls direct_calls;
/* The declarations for ffi.cdef. */
extern const char direct_declarations[];

/* How a column's value is passed: "text" (text, length), "number" and "boolean" (value, whether it
 * is present). NULL: not over the FFI. */
const char *direct_column_kind(enum view_type type);
/* Whether the merges of a group can be staged over the FFI. */
bool direct_can_stage(const struct view_table *table, const struct view_group *group);
