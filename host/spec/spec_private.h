/* What the files of the spec runner share. */
#ifndef AGG_HOST_SCRIPT_SPEC_PRIVATE_H
#define AGG_HOST_SCRIPT_SPEC_PRIVATE_H

#include "script/script_private.h"

/* spec_libraries.c: a table with all of Lua's libraries, left on the stack; the state's globals
 * stay as they are. Chunks get it as their environment. May raise. */
void spec_libraries_push(lua_State *L);

/* Openers of the modules that only specs see; they leave a table on the stack. The merge is
 * borrowed for the life of the state. */
void spec_handlers_open(lua_State *L, struct merge *merge); /* testing.handlers */
void spec_routes_open(lua_State *L);                        /* testing.routes */
void spec_reactions_open(lua_State *L);                     /* testing.reactions */
void spec_fixtures_open(lua_State *L);                      /* testing.fixtures */
void spec_sources_open(lua_State *L);                       /* testing.sources */

/* The index of the script of that name among `count` structures of `size` bytes, which begin with
 * their name. Raises where there is none, with the nearest. */
size_t spec_find_script(lua_State *L, const char *kind, const char *name, const void *scripts,
                        size_t count, size_t size);

/* spec_values.c: values of the view as specs read them. */
/* Replaces the value on the top by the two that json.FUNCTION answers for it: the second is nil, or
 * the failure where the first is nil. */
void spec_call_json(lua_State *L, const char *function);
void spec_push_key(lua_State *L, const struct view_table *table, const struct view_value *key);
/* Sets each column that is not null in the table on the top. */
void spec_set_columns(lua_State *L, const struct view_group *group,
                      const struct view_value *values);
/* The key of an id in a set of tags, and the function of specs for it: tag(id) -> text. */
void spec_push_tag(lua_State *L, uint64_t hash);
int spec_lua_tag(lua_State *L);
/* Sets `tags`, a set, in the table on the top. */
void spec_set_tags(lua_State *L, const uint64_t *tags, size_t count);
/* Pushes a list of messages as they would be stored. */
void spec_push_messages(lua_State *L, const struct outbox_message *messages, size_t count);
/* Sets `at` and `event_id` in the table on the top. */
void spec_set_version(lua_State *L, const struct merge_version *version);

#endif
