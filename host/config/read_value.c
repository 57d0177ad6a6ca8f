/* read_value: reads a Lua value, or the text of a variable or default, into its field. */
#include <ctype.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/xalloc.h"
#include "functions.h"
#include "places.h"
#include "reader.h"

#define HEADER_NAME_BYTES 64
#define WHAT_CAP 160

/* The value at the top of the stack, and where it belongs. */
struct value {
    struct config_reader *reader;
    const struct config_field *field;
    struct config_source source;
    void *target;
};

static void read_value_refuse(const struct value *value, const char *what) {
    config_complain(value->reader, value->source, value->field->section, value->field->key, what);
}

/* ---- numbers and switches ------------------------------------------------------------------- */

/* Only a text that is short or begins like a number is quoted: another may be a secret, of a
 * variable that was mixed up. */
static const char *read_value_shown(lua_State *L) {
    const char *text = lua_isstring(L, -1) ? lua_tostring(L, -1) : luaL_typename(L, -1);
    bool is_quoted = strlen(text) < 9 || strchr("+-.0123456789", text[0]);
    return is_quoted ? text : "another text";
}

static void read_value_integer(const struct value *value) {
    lua_State *L = value->reader->L;
    const struct config_field *field = value->field;
    char what[WHAT_CAP];
    double number = lua_tonumber(L, -1);
    if (lua_isnumber(L, -1) && number == floor(number) && number >= (double)field->min &&
        number <= (double)field->max) {
        *(int *)value->target = (int)number;
        return;
    }
    snprintf(what, sizeof what, "must be a whole number from %ld to %ld, not %.20s", field->min,
             field->max, read_value_shown(L));
    read_value_refuse(value, what);
}

static void read_value_switch(const struct value *value) {
    lua_State *L = value->reader->L;
    const char *text = lua_isstring(L, -1) ? lua_tostring(L, -1) : "";
    bool on = lua_isboolean(L, -1) ? lua_toboolean(L, -1)
                                   : strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0;
    if (!lua_isboolean(L, -1) && !on && strcasecmp(text, "false") != 0 && strcmp(text, "0") != 0) {
        read_value_refuse(value, "must be true or false");
    }
    *(int *)value->target = on;
}

/* ---- lists and maps ------------------------------------------------------------------------- */

static void read_value_check_urls(const struct value *value, const struct config_strings *strings) {
    struct err problem = {0};
    for (size_t i = 0; value->field->urls && i < strings->count; i++) {
        if (!config_check_place(POSTGRES_URL, strings->items[i], &problem)) {
            read_value_refuse(value, problem.text);
            return;
        }
    }
}

/* A text is that of a variable or default; a running program gives a table. */
static void read_value_strings(const struct value *value) {
    lua_State *L = value->reader->L;
    struct config_strings *strings = value->target;
    if (value->source.layer < 0 && !lua_istable(L, -1) &&
        !config_push_list(L, lua_tostring(L, -1))) {
        read_value_refuse(value, CONFIG_LIST_RULE);
        return;
    }
    size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0, keys = 0;
    for (lua_pushnil(L); lua_istable(L, -2) && lua_next(L, -2); lua_pop(L, 1)) {
        keys++;
    }
    bool good = lua_istable(L, -1) && keys == count;
    for (size_t i = 0; i < count && good; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        good = lua_type(L, -1) == LUA_TSTRING;
        if (good) {
            config_strings_add(strings, lua_tostring(L, -1));
        }
        lua_pop(L, 1);
    }
    if (!good) {
        read_value_refuse(value, "must be a list of strings");
    }
    read_value_check_urls(value, strings);
}

/* False removes what an extended file has. */
static bool read_value_pair(lua_State *L, struct config_pairs *pairs) {
    if (lua_type(L, -2) != LUA_TSTRING) {
        return false;
    }
    const char *name = lua_tostring(L, -2);
    if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) {
        config_pairs_remove(pairs, name);
        return true;
    }
    if (!lua_isstring(L, -1)) {
        return false;
    }
    lua_pushvalue(L, -1); /* conversion must not change the number in the table */
    config_pairs_put(pairs, name, lua_tostring(L, -1));
    lua_pop(L, 1);
    return true;
}

static void read_value_pairs(const struct value *value) {
    lua_State *L = value->reader->L;
    if (value->source.layer < 0 && !lua_istable(L, -1) &&
        !config_push_map(L, lua_tostring(L, -1))) {
        read_value_refuse(value, "a map must be name=value, separated by commas, or a JSON object");
        return;
    }
    bool good = lua_istable(L, -1);
    for (lua_pushnil(L); good && lua_next(L, -2); lua_pop(L, 1)) {
        good = read_value_pair(L, value->target);
    }
    if (!good) {
        read_value_refuse(value, value->field->words);
    }
}

/* ---- texts ---------------------------------------------------------------------------------- */

/* Ignores case. `words` has a space around each word. */
static bool read_value_is_among(const char *word, const char *words) {
    size_t len = strlen(word);
    for (const char *at = words + 1; *at; at += strcspn(at, " ") + 1) {
        if (strcspn(at, " ") == len && strncasecmp(at, word, len) == 0) {
            return true;
        }
    }
    return false;
}

/* A token of RFC 9110, but no field that HTTP defines, nor one that the server reads or writes. */
static bool read_value_is_header_name(const char *text) {
    static const char *const taken =
        " accept accept-charset accept-encoding accept-language accept-ranges age allow "
        "alt-svc authentication-info authorization cache-control connection content-encoding "
        "content-language content-length content-location content-range content-type cookie date "
        "etag expect expires forwarded from host if-match if-modified-since if-none-match if-range "
        "if-unmodified-since keep-alive last-modified link location max-forwards origin pragma "
        "proxy-authenticate proxy-authentication-info proxy-authorization proxy-connection range "
        "referer retry-after server server-timing set-cookie strict-transport-security te "
        "traceparent tracestate trailer transfer-encoding upgrade user-agent vary via warning "
        "www-authenticate x-content-type-options ";
    size_t len = strlen(text);
    return len > 0 && len <= HEADER_NAME_BYTES && !read_value_is_among(text, taken) &&
           strspn(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == len;
}

/* False: it is refused. */
static bool read_value_check_text(const struct value *value, const char *text) {
    const struct config_field *field = value->field;
    char what[WHAT_CAP];
    struct err place = {0};
    if (strlen(text) != lua_objlen(value->reader->L, -1)) {
        read_value_refuse(value, "must not hold a NUL byte");
    } else if (field->kind == HEADER && !read_value_is_header_name(text)) {
        read_value_refuse(value,
                          "must be the name of a header field that HTTP does not use itself, of 1 "
                          "to 64 letters, digits and hyphens");
    } else if (field->kind == WORD && !read_value_is_among(text, field->words)) {
        snprintf(what, sizeof what, "must be one of%.*s, not \"%.60s\"",
                 (int)strlen(field->words) - 1, field->words, text);
        read_value_refuse(value, what);
    } else if (field->kind == TEXT && field->max > 0 && strlen(text) > (size_t)field->max) {
        snprintf(what, sizeof what, "is %zu bytes long: it takes at most %ld", strlen(text),
                 field->max);
        read_value_refuse(value, what);
    } else if (!config_check_place(field->kind, text, &place)) {
        read_value_refuse(value, place.text);
    } else {
        return true;
    }
    return false;
}

/* A variable's path is relative to the first file, a default to the last. */
static char *read_value_resolve(const struct value *value, const char *path) {
    const struct config_reader *reader = value->reader;
    if (reader->layer_count == 0) { /* of a running program */
        return xstrdup(path);
    }
    size_t layer = value->source.layer >= 0 ? (size_t)value->source.layer
                   : value->source.variable ? 0
                                            : reader->layer_count - 1;
    return config_resolve(reader->layers[layer].path, path);
}

static void read_value_text(const struct value *value) {
    lua_State *L = value->reader->L;
    if (lua_type(L, -1) != LUA_TSTRING) {
        read_value_refuse(value, "must be a string");
        return;
    }
    const char *text = lua_tostring(L, -1);
    if (value->field->kind == REDIS_URL && strcmp(text, "none") == 0) {
        text = "";
        lua_pushstring(L, text);
    }
    if (!read_value_check_text(value, text)) {
        return;
    }
    char *copy = value->field->kind == PATH ? read_value_resolve(value, text) : xstrdup(text);
    for (char *at = copy; value->field->kind == WORD && *at; at++) {
        *at = (char)tolower((unsigned char)*at);
    }
    *(char **)value->target = copy;
}

void config_read_value(struct config_reader *reader, const struct config_field *field,
                       struct config_source source) {
    const struct value value = {reader, field, source, (char *)reader->config + field->offset};
    switch (field->kind) {
    case INTEGER:
        read_value_integer(&value);
        break;
    case SWITCH:
        read_value_switch(&value);
        break;
    case STRINGS:
        read_value_strings(&value);
        break;
    case PAIRS:
        read_value_pairs(&value);
        break;
    default:
        read_value_text(&value);
    }
}
