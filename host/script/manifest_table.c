/* Reads one table of a declaration, raw, by a list of its keys. */
#include <stdarg.h>
#include <stdio.h>

#include "base/nearest.h"
#include "manifest.h"

#define MAX_SCOPES 8
#define MAX_KEYS 16

/* ---- problems ----------------------------------------------------------------------------- */

void manifest_enter(struct manifest_reader *r, struct manifest_scope *scope, const char *word,
                    const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(scope->owner, sizeof scope->owner, format, arguments);
    va_end(arguments);
    scope->word = word;
    scope->outer = r->scope;
    r->scope = scope;
}

void manifest_leave(struct manifest_reader *r) {
    r->scope = r->scope->outer;
}

void manifest_problem(struct manifest_reader *r, const char *word, const char *format, ...) {
    const char *words[MAX_SCOPES + 1];
    char text[1024];
    size_t at = MAX_SCOPES + 1;
    if (r->problems->count == PROBLEMS_MAX) { /* finding a line takes time */
        r->problems->found++;
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (word) {
        words[--at] = word;
    }
    for (const struct manifest_scope *scope = r->scope; scope && at > 0; scope = scope->outer) {
        if (scope->word) {
            words[--at] = scope->word;
        }
    }
    problems_add(r->problems, r->file->path,
                 manifest_line(r->file->text, words + at, MAX_SCOPES + 1 - at), "%s: %s",
                 r->scope->owner, text);
}

void manifest_refuse(struct manifest_reader *r, const char *what, const char *word,
                     const char *const *known, size_t count) {
    char hint[NEAREST_HINT_CAP];
    manifest_problem(r, word, "no %s \"%.200s\": %s", what, word,
                     nearest_hint(hint, word, known, count));
}

/* ---- values ------------------------------------------------------------------------------- */

/* A copy of the string at the top. NULL: empty or with a NUL; a problem is recorded. */
static const char *manifest_table_copy_text(struct manifest_reader *r, const char *key) {
    size_t len;
    const char *text = lua_tolstring(r->L, -1, &len);
    if (len == 0 || strlen(text) != len) {
        manifest_problem(r, key, len == 0 ? "`%s` is empty" : "`%s` has a NUL byte in it", key);
        return NULL;
    }
    return manifest_text(r->generation, text);
}

bool manifest_is_plain(struct manifest_reader *r, const char *key) {
    lua_State *L = r->L;
    if (!lua_getmetatable(L, -1)) {
        return true;
    }
    lua_pop(L, 1);
    protect_push_original(L, lua_gettop(L));
    bool module = !lua_isnil(L, -1);
    lua_pop(L, 1);
    manifest_problem(r, key, "%s%s%s", key ? key : "", key ? ": " : "",
                     module ? "this is a module, not a declaration: return a table of your own"
                            : "a declaration is a plain table: remove its metatable");
    return false;
}

/* Whether the keys of the table at the top are 1 to `len`, and no other. */
static bool manifest_table_is_sequence(lua_State *L, size_t len) {
    size_t items = 0;
    bool is = true;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        lua_Number at = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
        items++;
        is = is && at >= 1 && at <= (lua_Number)len;
    }
    return is && items == len;
}

bool manifest_is_list(struct manifest_reader *r, const char *key, const char *wanted, size_t max,
                      size_t *len) {
    lua_State *L = r->L;
    bool good = lua_istable(L, -1);
    *len = good ? lua_objlen(L, -1) : 0;
    if (good && !manifest_is_plain(r, key)) {
        return false;
    }
    if (!good || !manifest_table_is_sequence(L, *len)) {
        manifest_problem(r, key, "`%s` takes %s", key, wanted);
        return false;
    }
    if (*len > max) {
        manifest_problem(r, key, "`%s` has %zu items: at most %zu", key, *len, max);
        return false;
    }
    return true;
}

const char **manifest_take_list_part(struct manifest_reader *r, const char *key, size_t max,
                                     size_t *count) {
    lua_State *L = r->L;
    bool single = lua_type(L, -1) == LUA_TSTRING;
    size_t len = single ? 1 : lua_objlen(L, -1);
    *count = 0;
    if (len == 0 || len > max) {
        manifest_problem(r, key, "`%s` takes strings, 1 to %zu", key, max);
        return NULL;
    }
    const char **texts = manifest_alloc(r->generation, len * sizeof *texts);
    for (size_t i = 0; i < len; i++) {
        if (single) {
            lua_pushvalue(L, -1);
        } else {
            lua_rawgeti(L, -1, (int)i + 1);
        }
        if (lua_type(L, -1) == LUA_TSTRING) {
            texts[i] = manifest_table_copy_text(r, key);
        } else {
            manifest_problem(r, key, "`%s` takes strings, not a %s", key, luaL_typename(L, -1));
        }
        *count += texts[i] != NULL;
        lua_pop(L, 1);
    }
    return *count == len ? texts : NULL;
}

const char **manifest_take_texts(struct manifest_reader *r, const char *key, size_t max,
                                 size_t *count) {
    if (lua_istable(r->L, -1) && !manifest_table_is_sequence(r->L, lua_objlen(r->L, -1))) {
        manifest_problem(r, key, "`%s` takes a list of strings: the table has a gap or another key",
                         key);
        *count = 0;
        return NULL;
    }
    return manifest_take_list_part(r, key, max, count);
}

/* ---- keys --------------------------------------------------------------------------------- */

/* Sets the bit of the key that a wrong name probably means in `meant`, so that it is not also
 * reported as missing. */
static void manifest_table_refuse_name(struct manifest_reader *r, const struct manifest_key *keys,
                                       size_t count, const char *name, uint32_t *meant) {
    const char *names[MAX_KEYS];
    for (size_t i = 0; i < count; i++) {
        names[i] = keys[i].name;
    }
    const char *nearest = nearest_name(name, names, count);
    if (nearest) {
        *meant |= 1U << script_find_named(keys, count, sizeof *keys, nearest);
    }
    manifest_refuse(r, "key", name, names, count);
}

static uint32_t manifest_table_refuse_others(struct manifest_reader *r,
                                             const struct manifest_key *keys, size_t count,
                                             bool listed) {
    lua_State *L = r->L;
    uint32_t meant = 0;
    size_t len = lua_objlen(L, -1);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        int type = lua_type(L, -2);
        lua_Number at = type == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
        if (type == LUA_TSTRING &&
            script_find_named(keys, count, sizeof *keys, lua_tostring(L, -2)) < 0) {
            manifest_table_refuse_name(r, keys, count, lua_tostring(L, -2), &meant);
        } else if (type != LUA_TSTRING && !(listed && at >= 1 && at <= (lua_Number)len)) {
            manifest_problem(r, NULL,
                             listed ? "its list part has a gap or another key (a %s)"
                                    : "its keys are names, and one is a %s",
                             lua_typename(L, type));
        }
    }
    return meant;
}

/* Lua's type of each kind; two of them also take a string. */
static const struct {
    int type;
    const char *name;
} kinds[] = {[MANIFEST_TEXT] = {LUA_TSTRING, "string"},
             [MANIFEST_SWITCH] = {LUA_TBOOLEAN, "boolean"},
             [MANIFEST_NUMBER] = {LUA_TNUMBER, "number"},
             [MANIFEST_TABLE] = {LUA_TTABLE, "table"},
             [MANIFEST_TEXTS] = {LUA_TTABLE, "list"},
             [MANIFEST_FUNCTION] = {LUA_TFUNCTION, "function"},
             [MANIFEST_SWITCH_OR_TEXT] = {LUA_TBOOLEAN, "boolean or string"}};

static bool manifest_table_takes(enum manifest_kind kind, int type) {
    bool takes_text = kind == MANIFEST_TEXTS || kind == MANIFEST_SWITCH_OR_TEXT;
    return type == kinds[kind].type || (takes_text && type == LUA_TSTRING);
}

static void manifest_table_take_value(struct manifest_reader *r, const struct manifest_key *key,
                                      void *target) {
    lua_State *L = r->L;
    char *at = (char *)target + key->offset;
    if (key->kind == MANIFEST_TEXT) {
        *(const char **)(void *)at = manifest_table_copy_text(r, key->name);
    } else if (key->kind == MANIFEST_SWITCH) {
        *(bool *)at = lua_toboolean(L, -1);
    } else if (key->kind == MANIFEST_NUMBER) {
        *(struct manifest_number *)(void *)at = (struct manifest_number){true, lua_tonumber(L, -1)};
    }
    if (lua_istable(L, -1) && !manifest_is_plain(r, key->name)) {
        return;
    }
    if (key->read) {
        key->read(r, target);
    }
}

static void manifest_table_read_key(struct manifest_reader *r, const struct manifest_key *key,
                                    bool misspelt, void *target) {
    lua_State *L = r->L;
    lua_pushstring(L, key->name);
    lua_rawget(L, -2);
    int type = lua_type(L, -1);
    if (type == LUA_TNIL && key->required && !misspelt) {
        manifest_problem(r, NULL, "`%s` is missing: %s", key->name, key->wanted);
    } else if (type != LUA_TNIL && !manifest_table_takes(key->kind, type)) {
        manifest_problem(r, key->name, "`%s` takes a %s, not a %s%s%s", key->name,
                         kinds[key->kind].name, lua_typename(L, type), key->wanted ? ": " : "",
                         key->wanted ? key->wanted : "");
    } else if (type != LUA_TNIL) {
        manifest_table_take_value(r, key, target);
    }
    lua_pop(L, 1);
}

bool manifest_read_table(struct manifest_reader *r, const struct manifest_key *keys, size_t count,
                         bool listed, void *target) {
    if (!lua_istable(r->L, -1)) {
        manifest_problem(r, NULL,
                         lua_isnil(r->L, -1) ? "the file returns nothing, not a table"
                                             : "this is a %s, not a table",
                         luaL_typename(r->L, -1));
        return false;
    }
    luaL_checkstack(r->L, 10, "declarations");
    if (!manifest_is_plain(r, NULL)) {
        return false;
    }
    uint32_t meant = manifest_table_refuse_others(r, keys, count, listed);
    for (size_t i = 0; i < count; i++) {
        manifest_table_read_key(r, &keys[i], (meant & 1U << i) != 0, target);
    }
    return true;
}
