/* Shared by the files of the spec runner. */
#pragma once

#include "script/script_private.h"

/* spec_libraries.c: pushes a table of all of Lua's libraries, the environment of trusted chunks.
 * The state's globals stay unchanged. May raise. */
void spec_libraries_push(lua_State *L);

/* Push the modules that only specs see. The merge outlives the state. */
void spec_handlers_open(lua_State *L, struct merge *merge); /* testing.handlers */
void spec_routes_open(lua_State *L);                        /* testing.routes */
void spec_reactions_open(lua_State *L);                     /* testing.reactions */
void spec_fixtures_open(lua_State *L);                      /* testing.fixtures */
void spec_sources_open(lua_State *L);                       /* testing.sources */

/* spec_support.c: reads the modules for specs below the folder, which may be missing, and those
 * that the binary carries: doubles of bindings and testing.*. A file of the folder replaces one of
 * the same name. False: err, and the bundle is empty. */
bool spec_support_read(struct bundle *bundle, const char *folder, struct err *err);

/* Index of the script among `count` structures of `size` bytes that begin with their name. Raises
 * if unknown. */
size_t spec_find_script(lua_State *L, const char *kind, const char *name, const void *scripts,
                        size_t count, size_t size);

/* Replaces the value at the top by the two results of json.FUNCTION; the second is the failure or
 * nil. */
void spec_call_json(lua_State *L, const char *function);
void spec_push_key(lua_State *L, const struct view_table *table, const struct view_value *key);
/* Sets each column that is not null in the table at the top. */
void spec_set_columns(lua_State *L, const struct view_group *group,
                      const struct view_value *values);
/* The specs' function tag(id) -> the text of its surrogate key. */
int spec_lua_tag(lua_State *L);
/* Sets `tags`, a set, in the table at the top. */
void spec_set_tags(lua_State *L, const uint64_t *tags, size_t count);
/* Pushes a list of messages as the outbox stores them. */
void spec_push_messages(lua_State *L, const struct outbox_message *messages, size_t count);
/* Sets `at` and `event_id` in the table at the top. */
void spec_set_version(lua_State *L, const struct merge_version *version);
