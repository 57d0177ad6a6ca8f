/* library: replacements for functions of Lua's string and table libraries that could run for ever
 * inside C or compiled, or take all memory at once. Arguments and results are Lua's. Patterns and
 * sort check the time; sort is stable. */
#include <lualib.h>
#include <math.h>
#include <string.h>

#include "pattern.h"
#include "script_private.h"

#define MAX_REPEATED_BYTES (16.0 * 1024 * 1024)
#define COMPARISONS_BETWEEN_CHECKS 1000
#define ITEMS_BETWEEN_CHECKS 10000
/* A plain search of so much takes long, and may run often between two calls of the hook. */
#define LARGE_SUBJECT_BYTES 65536

/* ---- patterns ----------------------------------------------------------------------------- */

static struct pattern_match library_match_of(lua_State *L, int subject, int pattern) {
    size_t subject_len, pattern_len;
    struct pattern_match match = {.L = L};
    match.subject = luaL_checklstring(L, subject, &subject_len);
    match.subject_end = match.subject + subject_len;
    match.pattern = luaL_checklstring(L, pattern, &pattern_len);
    match.pattern_end = match.pattern + pattern_len;
    return match;
}

/* The optional start at argument 3; negative: from the end. */
static const char *library_start_of(lua_State *L, const struct pattern_match *match) {
    ptrdiff_t len = match->subject_end - match->subject;
    ptrdiff_t start = luaL_optinteger(L, 3, 1);
    start = start < 0 ? start + len : start - 1;
    return match->subject + (start < 0 ? 0 : start > len ? len : start);
}

static int library_push_range(lua_State *L, const struct pattern_match *match, const char *begin,
                              const char *end) {
    lua_pushinteger(L, begin - match->subject + 1);
    lua_pushinteger(L, end - match->subject);
    return 2;
}

static int library_string_find(lua_State *L) {
    struct pattern_match match = library_match_of(L, 1, 2);
    const char *at = library_start_of(L, &match), *end;
    size_t len = (size_t)(match.pattern_end - match.pattern);
    if (lua_toboolean(L, 4) || pattern_is_plain(match.pattern, len)) {
        if (match.subject_end - at >= LARGE_SUBJECT_BYTES) {
            lua_host_check_time(L);
        }
        const char *found = memmem(at, (size_t)(match.subject_end - at), match.pattern, len);
        return found ? library_push_range(L, &match, found, found + len) : (lua_pushnil(L), 1);
    }
    const char *begin = pattern_find(&match, at, &end);
    if (!begin) {
        lua_pushnil(L);
        return 1;
    }
    library_push_range(L, &match, begin, end);
    return 2 + pattern_push_captures(&match, NULL, NULL);
}

static int library_string_match(lua_State *L) {
    struct pattern_match match = library_match_of(L, 1, 2);
    const char *end, *begin = pattern_find(&match, library_start_of(L, &match), &end);
    if (!begin) {
        lua_pushnil(L);
        return 1;
    }
    return pattern_push_captures(&match, begin, end);
}

/* Upvalues: subject, pattern, next offset. */
static int library_next_match(lua_State *L) {
    struct pattern_match match = library_match_of(L, lua_upvalueindex(1), lua_upvalueindex(2));
    const char *at = match.subject + lua_tointeger(L, lua_upvalueindex(3));
    for (; at <= match.subject_end; at++) { /* gmatch has no anchor */
        const char *end = pattern_match_at(&match, at);
        if (end) {
            lua_pushinteger(L, end - match.subject + (end == at));
            lua_replace(L, lua_upvalueindex(3));
            return pattern_push_captures(&match, at, end);
        }
    }
    return 0;
}

static int library_string_gmatch(lua_State *L) {
    luaL_checkstring(L, 1);
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, library_next_match, 3);
    return 1;
}

static void library_add_template(luaL_Buffer *out, struct pattern_match *match, const char *begin,
                                 const char *end) {
    size_t len;
    const char *text = lua_tolstring(match->L, 3, &len);
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '%') {
            luaL_addchar(out, text[i]);
            continue;
        }
        i++; /* a % at the end is followed by the NUL */
        if (text[i] < '0' || text[i] > '9') {
            luaL_addchar(out, text[i]);
        } else if (text[i] == '0') {
            luaL_addlstring(out, begin, (size_t)(end - begin));
        } else {
            pattern_push_capture(match, text[i] - '1', begin, end);
            luaL_addvalue(out);
        }
    }
}

static void library_add_replacement(luaL_Buffer *out, struct pattern_match *match,
                                    const char *begin, const char *end) {
    lua_State *L = match->L;
    if (lua_isstring(L, 3)) {
        library_add_template(out, match, begin, end);
        return;
    }
    lua_host_check_stack(L);
    if (lua_istable(L, 3)) {
        pattern_push_capture(match, 0, begin, end);
        lua_gettable(L, 3);
    } else {
        lua_pushvalue(L, 3);
        lua_call(L, pattern_push_captures(match, begin, end), 1);
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        lua_pushlstring(L, begin, (size_t)(end - begin));
    } else if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
    luaL_addvalue(out);
}

static int library_string_gsub(lua_State *L) {
    struct pattern_match match = library_match_of(L, 1, 2);
    int type = lua_type(L, 3);
    luaL_argcheck(L,
                  type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TTABLE ||
                      type == LUA_TFUNCTION,
                  3, "string/function/table expected");
    const char *at = match.subject;
    lua_Number most = luaL_optnumber(L, 4, (lua_Number)(match.subject_end - at) + 1);
    bool anchored = *match.pattern == '^';
    match.pattern += anchored;
    int count = 0;
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    while (count < most) {
        const char *end = pattern_match_at(&match, at);
        if (end) {
            count++;
            library_add_replacement(&out, &match, at, end);
        }
        if (end && end > at) {
            at = end;
        } else if (at < match.subject_end) {
            luaL_addchar(&out, *at++);
        } else {
            break;
        }
        if (anchored) {
            break;
        }
    }
    luaL_addlstring(&out, at, (size_t)(match.subject_end - at));
    luaL_pushresult(&out);
    lua_pushinteger(L, count);
    return 2;
}

static int library_string_rep(lua_State *L) {
    size_t len, joint_len;
    const char *text = luaL_checklstring(L, 1, &len);
    lua_Number times = luaL_checknumber(L, 2);
    const char *joint = luaL_optlstring(L, 3, "", &joint_len);
    luaL_argcheck(L, times <= 0 || (double)(len + joint_len) * times <= MAX_REPEATED_BYTES, 2,
                  "would make a string over 16 MiB");
    size_t count = times > 0 ? (size_t)times : 0, unit = len + joint_len;
    size_t total = count > 0 ? count * unit - joint_len : 0;
    char *out = lua_newuserdata(L, count * unit + 1);
    if (count > 0) {
        memcpy(out, text, len);
        memcpy(out + len, joint, joint_len);
    }
    for (size_t done = unit, more; done < total; done += more) { /* doubles */
        more = done < total - done ? done : total - done;
        memcpy(out + done, out, more);
    }
    lua_pushlstring(L, out, total);
    return 1;
}

/* ---- sort --------------------------------------------------------------------------------- */

struct sort {
    lua_State *L;
    bool has_function; /* at index 2 */
    size_t comparisons;
};

/* Whether the value at b belongs before the one at a. */
static bool library_comes_before(struct sort *sort, int b, int a) {
    lua_State *L = sort->L;
    if (++sort->comparisons % COMPARISONS_BETWEEN_CHECKS == 0) {
        lua_host_check_time(L);
    }
    lua_host_check_stack(L);
    if (!sort->has_function) {
        return lua_lessthan(L, b, a);
    }
    lua_pushvalue(L, 2);
    lua_pushvalue(L, b);
    lua_pushvalue(L, a);
    lua_call(L, 2, 1);
    bool before = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return before;
}

/* Merges the sorted runs [first, middle) and [middle, last) of the table at `from` into `to`. */
static void library_merge_runs(struct sort *sort, int from, int to, int first, int middle,
                               int last) {
    lua_State *L = sort->L;
    int left = first, right = middle;
    for (int out = first; out < last; out++) {
        bool take_right = left == middle;
        if (left < middle && right < last) {
            lua_rawgeti(L, from, left);
            lua_rawgeti(L, from, right);
            int top = lua_gettop(L);
            take_right = library_comes_before(sort, top, top - 1);
            lua_pop(L, 2);
        }
        lua_rawgeti(L, from, take_right ? right++ : left++);
        lua_rawseti(L, to, out);
    }
}

static void library_copy_items(lua_State *L, int from, int to, int count) {
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, from, i);
        lua_rawseti(L, to, i);
    }
}

/* Merge sort in two temporary tables: a contradictory order costs no more than a good one, and an
 * error leaves the list unchanged. */
static int library_table_sort(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TFUNCTION);
    }
    lua_settop(L, 2);
    struct sort sort = {L, !lua_isnil(L, 2), 0};
    int count = (int)lua_objlen(L, 1), from = 3, to = 4;
    lua_createtable(L, count, 0);
    lua_createtable(L, count, 0);
    library_copy_items(L, 1, from, count);
    for (int width = 1; width < count; width *= 2) {
        for (int first = 1; first <= count; first += 2 * width) {
            int left = count + 1 - first;
            library_merge_runs(&sort, from, to, first, first + (width < left ? width : left),
                               first + (2 * width < left ? 2 * width : left));
        }
        int kept = from;
        from = to;
        to = kept;
    }
    library_copy_items(L, from, 1, count);
    return 0;
}

/* ---- lists -------------------------------------------------------------------------------- */

/* C functions write past the metatable, so read-only tables are checked here. */
static void library_refuse_read_only(lua_State *L, int at, const char *function) {
    luaL_checktype(L, at, LUA_TTABLE);
    if (!lua_getmetatable(L, at)) {
        return;
    }
    lua_pop(L, 1);
    protect_push_original(L, at);
    if (!lua_isnil(L, -1)) {
        luaL_error(L, "%s: the table is read-only", function);
    }
    lua_pop(L, 1);
}

/* Moves items by one place; upwards the last first. */
static void library_shift_items(lua_State *L, int from, int last, int by) {
    int count = last - from + 1;
    for (int i = 0; i < count; i++) {
        int at = by > 0 ? last - i : from + i;
        lua_rawgeti(L, 1, at);
        lua_rawseti(L, 1, at + by);
        if ((i + 1) % ITEMS_BETWEEN_CHECKS == 0) {
            lua_host_check_time(L);
        }
    }
}

static int library_table_insert(lua_State *L) {
    library_refuse_read_only(L, 1, "table.insert");
    int count = (int)lua_objlen(L, 1), at = count + 1, arguments = lua_gettop(L);
    if (arguments == 3) {
        int wanted = (int)luaL_checkinteger(L, 2);
        luaL_argcheck(L, wanted >= 1, 2, "position out of bounds");
        library_shift_items(L, wanted, count, 1);
        at = wanted;
    } else if (arguments != 2) {
        return luaL_error(L, "wrong number of arguments to 'insert'");
    }
    lua_rawseti(L, 1, at);
    return 0;
}

static int library_table_remove(lua_State *L) {
    library_refuse_read_only(L, 1, "table.remove");
    int count = (int)lua_objlen(L, 1);
    int at = lua_isnoneornil(L, 2) ? count : (int)luaL_checkinteger(L, 2);
    if (at < 1 || at > count) {
        return 0;
    }
    lua_rawgeti(L, 1, at);
    library_shift_items(L, at + 1, count, -1);
    lua_pushnil(L);
    lua_rawseti(L, 1, count);
    return 1;
}

/* Calls upvalue 1, the original, with all arguments. */
static int library_call_original(lua_State *L) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

/* From item `from` to item `to`, `count` of them; `at` is where the first one comes. Positions are
 * numbers as scripts have them: they may pass every integer. */
struct move {
    lua_Number from, count, at;
    bool upwards;    /* the last first: the ranges overlap */
    int check_every; /* items between looks at the clock: a metamethod may be a slow C function */
};

static void library_move_items(lua_State *L, const struct move *move, int to) {
    int unchecked = 0;
    for (int64_t i = 0; (lua_Number)i < move->count; i++) {
        lua_Number offset = move->upwards ? move->count - 1 - (lua_Number)i : (lua_Number)i;
        lua_pushnumber(L, move->at + offset);
        lua_pushnumber(L, move->from + offset);
        lua_gettable(L, 1);
        lua_settable(L, to);
        if (++unchecked >= move->check_every) {
            unchecked = 0;
            lua_host_check_time(L);
        }
    }
}

static bool library_has_metatable(lua_State *L, int at) {
    bool has = lua_getmetatable(L, at) != 0;
    lua_pop(L, has ? 1 : 0);
    return has;
}

/* LuaJIT's own is Lua without a guard: once it is compiled, no limit ends it. */
static int library_table_move(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Number from = luaL_checknumber(L, 2), last = luaL_checknumber(L, 3);
    struct move move = {
        .from = from, .count = floor(last - from) + 1, .at = luaL_checknumber(L, 4)};
    lua_settop(L, 5);
    int to = lua_isnil(L, 5) ? 1 : 5;
    library_refuse_read_only(L, to, "table.move");
    bool plain = !library_has_metatable(L, 1) && !library_has_metatable(L, to);
    move.check_every = plain ? ITEMS_BETWEEN_CHECKS : 1;
    move.upwards = move.at > from && move.at <= last && lua_rawequal(L, 1, to);
    lua_host_check_stack(L);
    library_move_items(L, &move, to);
    lua_pushvalue(L, to);
    return 1;
}

/* Garbage collection decides what a weak table still has. */
static int library_base_setmetatable(lua_State *L) {
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__mode");
        lua_rawget(L, 2);
        if (!lua_isnil(L, -1)) {
            return luaL_error(
                L, "setmetatable: weak tables (__mode) are not available: a replay cannot "
                   "repeat what they lose");
        }
        lua_pop(L, 1);
    }
    return library_call_original(L);
}

/* ---- xpcall ------------------------------------------------------------------------------- */

/* pcall(f, …). LuaJIT's own moves its frame without a stack check: sixty nested pcall(pcall, …)
 * write beyond the stack. */
static int library_base_pcall(lua_State *L) {
    luaL_checkany(L, 1);
    lua_host_check_stack(L);
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    luaL_checkstack(L, 1, "pcall");
    lua_pushboolean(L, status == 0);
    lua_insert(L, 1);
    return lua_gettop(L);
}

/* xpcall(f, handler, …). The original runs the handler where the error is raised, maybe inside the
 * hook that ends a call. No hook fires there, so a looping handler would never end. Here it runs
 * after unwinding; scripts see no difference. */
static int library_base_xpcall(lua_State *L) {
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_host_check_stack(L);
    lua_pushvalue(L, 2);
    lua_insert(L, 1);
    lua_remove(L, 3); /* [handler, f, …] */
    if (lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0) == 0) {
        lua_pushboolean(L, 1);
        lua_replace(L, 1);
        return lua_gettop(L);
    }
    lua_pcall(L, 1, LUA_MULTRET, 0); /* if it raises, its error is the result */
    lua_pushboolean(L, 0);
    lua_insert(L, 1);
    return lua_gettop(L);
}

/* Replaces a function of the table at the top by one that has the original as upvalue. */
static void library_wrap(lua_State *L, const char *name, lua_CFunction function) {
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, name);
}

static void library_replace_functions(lua_State *L, const char *library,
                                      const luaL_Reg *functions) {
    lua_getglobal(L, library);
    for (; functions->name; functions++) {
        lua_pushcfunction(L, functions->func);
        lua_setfield(L, -2, functions->name);
    }
    lua_pop(L, 1);
}

void library_replace(lua_State *L) {
    static const luaL_Reg strings[] = {
        {"find", library_string_find},     {"match", library_string_match},
        {"gmatch", library_string_gmatch}, {"gsub", library_string_gsub},
        {"rep", library_string_rep},       {NULL, NULL}};
    static const luaL_Reg tables[] = {{"sort", library_table_sort},
                                      {"insert", library_table_insert},
                                      {"remove", library_table_remove},
                                      {"move", library_table_move},
                                      {NULL, NULL}};
    library_replace_functions(L, LUA_STRLIBNAME, strings);
    library_replace_functions(L, LUA_TABLIBNAME, tables);
    lua_register(L, "pcall", library_base_pcall);
    lua_register(L, "xpcall", library_base_xpcall);
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    library_wrap(L, "setmetatable", library_base_setmetatable);
    lua_pop(L, 1);
}
