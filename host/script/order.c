/* order: pairs and next in an order that the keys decide: positive integers, other numbers, strings
 * by byte, false, true. LuaJIT's own order of strings differs between states. Tables, functions and
 * userdata come last; two of them have no repeatable order and raise. pairs lists the keys at its
 * call: later keys are not visited, removed ones are skipped. next(t) is fast on lists; on other
 * tables each call reads every key. */
#include <math.h>

#include "script_private.h"

#define KEYS_BETWEEN_CHECKS 1000
#define SMALL_TABLE_KEYS 32

enum key_class { KEY_INDEX, KEY_NUMBER, KEY_STRING, KEY_BOOLEAN, KEY_WITHOUT_ORDER };

struct order_key {
    enum key_class class;
    int place;     /* in the unsorted list */
    double number; /* a boolean: 0, 1 */
    struct slice text;
};

static struct order_key order_key_at(lua_State *L, int at) {
    struct order_key key = {.class = KEY_WITHOUT_ORDER};
    switch (lua_type(L, at)) {
    case LUA_TNUMBER:
        key.number = lua_tonumber(L, at);
        key.class = key.number >= 1 && key.number == floor(key.number) ? KEY_INDEX : KEY_NUMBER;
        break;
    case LUA_TSTRING:
        key.class = KEY_STRING;
        key.text.data = lua_tolstring(L, at, &key.text.len);
        break;
    case LUA_TBOOLEAN:
        key.class = KEY_BOOLEAN;
        key.number = lua_toboolean(L, at);
        break;
    }
    return key;
}

static bool order_before(const struct order_key *a, const struct order_key *b) {
    if (a->class != b->class) {
        return a->class < b->class;
    }
    if (a->class != KEY_STRING) {
        return a->number < b->number;
    }
    return slice_compare(a->text, b->text) < 0;
}

static int order_raise_unordered(lua_State *L, const char *function) {
    return luaL_error(L,
                      "%s: two keys of the table are tables or functions, whose order a replay "
                      "cannot repeat: use strings or numbers as keys, or a list",
                      function);
}

/* ---- pairs -------------------------------------------------------------------------------- */

/* Merges the sorted runs [first, middle) and [middle, last) of `from` into `to`. */
static void order_merge(const struct order_key *from, struct order_key *to, size_t first,
                        size_t middle, size_t last) {
    size_t left = first, right = middle;
    for (size_t out = first; out < last; out++) {
        bool take_right =
            left == middle || (right < last && order_before(&from[right], &from[left]));
        to[out] = take_right ? from[right++] : from[left++];
    }
}

/* Returns the array that holds the result. Checks the time. */
static struct order_key *order_sort(lua_State *L, struct order_key *keys, struct order_key *spare,
                                    size_t count) {
    size_t moved = 0;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t first = 0; first < count; first += 2 * width) {
            size_t left = count - first;
            order_merge(keys, spare, first, first + (width < left ? width : left),
                        first + (2 * width < left ? 2 * width : left));
            moved += 2 * width;
            if (moved >= KEYS_BETWEEN_CHECKS) {
                lua_host_check_time(L);
                moved = 0;
            }
        }
        struct order_key *kept = keys;
        keys = spare;
        spare = kept;
    }
    return keys;
}

/* Pushes the keys of the table at 1, unsorted. `ascending`: they are in order; `list`: they are 1,
 * 2, 3 … */
static size_t order_push_keys(lua_State *L, bool *ascending, bool *list) {
    struct order_key last = {0};
    size_t count = 0, unordered = 0;
    *ascending = *list = true;
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, 1);) {
        struct order_key key = order_key_at(L, -2);
        *ascending = *ascending && (count == 0 || order_before(&last, &key));
        *list = *list && key.class == KEY_INDEX && key.number == (double)count + 1;
        unordered += key.class == KEY_WITHOUT_ORDER;
        last = key;
        count++;
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, (int)count);
        if (count % KEYS_BETWEEN_CHECKS == 0) {
            lua_host_check_time(L);
        }
    }
    if (unordered > 1) {
        order_raise_unordered(L, "pairs");
    }
    return count;
}

/* Sorts the list at the top. The table keeps its strings alive. */
static void order_sort_keys(lua_State *L, size_t count) {
    struct order_key small[2 * SMALL_TABLE_KEYS], *keys = small;
    int list = lua_gettop(L);
    if (count > SMALL_TABLE_KEYS) {
        keys = lua_newuserdata(L, 2 * count * sizeof *keys);
    }
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, list, (int)i + 1);
        keys[i] = order_key_at(L, -1);
        keys[i].place = (int)i + 1;
        lua_pop(L, 1);
    }
    const struct order_key *sorted = order_sort(L, keys, keys + count, count);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, list, sorted[i].place);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_replace(L, list);
    lua_settop(L, list);
}

/* Upvalues: the table, the list of its keys (nil: 1, 2, 3 …), the numbers of keys visited and of
 * all. */
static int order_next_pair(lua_State *L) {
    int count = (int)lua_tointeger(L, lua_upvalueindex(4));
    int visited = (int)lua_tointeger(L, lua_upvalueindex(3));
    bool list = lua_isnil(L, lua_upvalueindex(2));
    lua_settop(L, 0);
    while (visited < count) {
        visited++;
        if (list) {
            lua_pushinteger(L, visited);
            lua_rawgeti(L, lua_upvalueindex(1), visited);
        } else {
            lua_rawgeti(L, lua_upvalueindex(2), visited);
            lua_pushvalue(L, 1);
            lua_rawget(L, lua_upvalueindex(1));
        }
        if (!lua_isnil(L, 2)) {
            lua_pushinteger(L, visited);
            lua_replace(L, lua_upvalueindex(3));
            return 2;
        }
        lua_settop(L, 0);
        if (visited % KEYS_BETWEEN_CHECKS == 0) {
            lua_host_check_time(L);
        }
    }
    lua_pushinteger(L, count);
    lua_replace(L, lua_upvalueindex(3));
    lua_pushnil(L);
    return 1;
}

static int order_pairs(lua_State *L) {
    bool ascending, list;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    size_t count = order_push_keys(L, &ascending, &list);
    if (list) {
        lua_settop(L, 1);
        lua_pushnil(L);
    } else if (!ascending) {
        order_sort_keys(L, count);
    }
    lua_pushvalue(L, 1);
    lua_insert(L, 2); /* [table, table, keys] */
    lua_pushinteger(L, 0);
    lua_pushinteger(L, (lua_Integer)count);
    lua_pushcclosure(L, order_next_pair, 4);
    lua_insert(L, 1);
    lua_pushnil(L);
    return 3;
}

/* ---- next --------------------------------------------------------------------------------- */

/* Pushes the list's next index and its value, if the key at 2 is an index with a successor. */
static bool order_push_next_index(lua_State *L) {
    struct order_key key = order_key_at(L, 2);
    bool first = lua_isnil(L, 2);
    if (!first && (key.class != KEY_INDEX || key.number >= 1e9)) {
        return false;
    }
    int index = first ? 1 : (int)key.number + 1;
    lua_pushinteger(L, index);
    lua_rawgeti(L, 1, index);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 2);
        return false;
    }
    return true;
}

static int order_next(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    if (order_push_next_index(L)) {
        return 2;
    }
    bool first = lua_isnil(L, 2), found = false;
    struct order_key after = order_key_at(L, 2), best = {0};
    size_t count = 0, unordered = 0;
    lua_pushnil(L); /* the smallest key so far */
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        struct order_key key = order_key_at(L, -2);
        unordered += key.class == KEY_WITHOUT_ORDER;
        if ((first || order_before(&after, &key)) && (!found || order_before(&key, &best))) {
            best = key;
            found = true;
            lua_pushvalue(L, -2);
            lua_replace(L, 3);
        }
        if (++count % KEYS_BETWEEN_CHECKS == 0) {
            lua_host_check_time(L);
        }
    }
    if (!found) {
        lua_pushnil(L);
        return 1;
    }
    if (best.class == KEY_WITHOUT_ORDER && unordered > 1) {
        return order_raise_unordered(L, "next");
    }
    lua_pushvalue(L, 3);
    lua_rawget(L, 1);
    return 2;
}

void order_replace(lua_State *L) {
    lua_register(L, "pairs", order_pairs);
    lua_register(L, "next", order_next);
}
