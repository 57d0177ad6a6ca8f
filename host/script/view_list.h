/* view_list: lists that handlers merge, as literals of Postgres' arrays. Called by view_object.c,
 * whose checks of values it shares. */
#pragma once

#include "script_private.h"

/* The literal of the list at `at`, in the merge's arena. A column of a set also takes one item
 * without a list, and no null. Raises for an item that the column does not take. */
struct slice view_list_read(lua_State *L, int at, const struct view_column *column);

/* view_object.c. All raise. */
/* Checks the event's limit of merged bytes. The event is rejected even if the script catches the
 * error. */
void view_object_check_room(lua_State *L, size_t bytes);
struct slice view_object_copy(lua_State *L, struct slice bytes);
/* The text, which the state owns. */
struct slice view_object_check_text(lua_State *L, int at, const struct view_column *column);
static inline bool view_object_is_null(lua_State *L, int at) {
    return lua_isnoneornil(L, at) || (lua_islightuserdata(L, at) && !lua_touserdata(L, at));
}
/* Pushes the value at `at` as an error names it: a text in quotes, a number with all its digits,
 * else its type. */
const char *view_object_push_given(lua_State *L, int at);
/* Of VIEW_INTEGER or VIEW_BIGINT. */
int64_t view_object_check_whole(lua_State *L, int at, enum view_type type, const char *column);
