/* config: the one table of fields, and the reader that checks config.lua against it. */
#include "config.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xalloc.h"

enum field_kind { TEXT, PATH, INTEGER, SWITCH, STRINGS, PAIRS };

struct field {
    const char *section;
    const char *key;
    enum field_kind kind;
    size_t offset;
    long min, max; /* INTEGER */
};

#define FIELD(section, key, kind, min, max)                                                        \
    { #section, #key, kind, offsetof(struct config, section.key), min, max }

static const struct field fields[] = {
    FIELD(service, name, TEXT, 0, 0),
    FIELD(service, environment, TEXT, 0, 0),
    FIELD(http, host, TEXT, 0, 0),
    FIELD(http, port, INTEGER, 0, 65535),
    FIELD(http, loops, INTEGER, 1, 64),
    FIELD(http, threads, INTEGER, 1, 4096),
    FIELD(http, max_connections, INTEGER, 1, 1000000),
    FIELD(http, states, INTEGER, 1, 256),
    FIELD(http, request_timeout_ms, INTEGER, 100, 600000),
    FIELD(http, keep_alive_timeout_ms, INTEGER, 0, 600000),
    FIELD(http, api_keys, STRINGS, 0, 0),
    FIELD(http, allowed_services, STRINGS, 0, 0),
    FIELD(kafka, brokers, TEXT, 0, 0),
    FIELD(kafka, group, TEXT, 0, 0),
    FIELD(kafka, client_id, TEXT, 0, 0),
    FIELD(kafka, auto_offset_reset, TEXT, 0, 0),
    FIELD(kafka, session_timeout_ms, INTEGER, 1000, 3600000),
    FIELD(kafka, options, PAIRS, 0, 0),
    FIELD(postgres, url, TEXT, 0, 0),
    FIELD(postgres, connect_timeout_ms, INTEGER, 100, 600000),
    FIELD(postgres, statement_timeout_ms, INTEGER, 100, 3600000),
    FIELD(redis, url, TEXT, 0, 0),
    FIELD(redis, timeout_ms, INTEGER, 1, 60000),
    FIELD(redis, seen_ttl_s, INTEGER, 1, 31536000),
    FIELD(ingest, workers, INTEGER, 1, 64),
    FIELD(ingest, batch_max_events, INTEGER, 1, 1000000),
    FIELD(ingest, batch_max_bytes, INTEGER, 1024, 1073741824),
    FIELD(ingest, rejected_keep_hours, INTEGER, 1, 8760),
    FIELD(ingest, rejected_keep_rows, INTEGER, 1, 10000000),
    FIELD(cache, enabled, SWITCH, 0, 0),
    FIELD(cache, ttl_s, INTEGER, 1, 86400),
    FIELD(cache, process_max_bytes, INTEGER, 0, 2147483647),
    FIELD(scripts, root, PATH, 0, 0),
    FIELD(scripts, sql, PATH, 0, 0),
    FIELD(scripts, memory_limit_mb, INTEGER, 1, 4096),
    FIELD(scripts, handler_timeout_ms, INTEGER, 1, 600000),
    FIELD(scripts, route_timeout_ms, INTEGER, 1, 600000),
    FIELD(log, level, TEXT, 0, 0),
    FIELD(log, format, TEXT, 0, 0),
};
#define FIELD_COUNT (sizeof fields / sizeof *fields)

/* ---- what config.lua may call -------------------------------------------------------------- */

/* env(name, default): the variable where it is set and not empty, else the default. */
static int lua_env(lua_State *L) {
    const char *value = getenv(luaL_checkstring(L, 1));
    if (value && value[0]) {
        lua_pushstring(L, value);
    } else {
        lua_settop(L, 2);
    }
    return 1;
}

/* env_or_file(name): the variable, or the contents of the file that NAME_FILE names, or nil. */
static int lua_env_or_file(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    const char *value = getenv(name);
    if (value && value[0]) {
        lua_pushstring(L, value);
        return 1;
    }
    const char *path = getenv(lua_pushfstring(L, "%s_FILE", name));
    if (!path || !path[0]) {
        return 0;
    }
    char text[8192];
    FILE *file = fopen(path, "re");
    if (!file) {
        return luaL_error(L, "%s_FILE names %s, which cannot be read", name, path);
    }
    size_t len = fread(text, 1, sizeof text, file);
    fclose(file);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        len--;
    }
    lua_pushlstring(L, text, len);
    return 1;
}

/* list(text): the items of a comma-separated list or of a JSON list of plain strings. */
static int lua_list(lua_State *L) {
    const char *at = luaL_optstring(L, 1, "");
    int count = 0;
    lua_newtable(L);
    while (*at) {
        at += strspn(at, " ,[]\"\t\n");
        size_t len = strcspn(at, ",[]\"\t\n");
        if (len > 0) {
            lua_pushlstring(L, at, len);
            lua_rawseti(L, -2, ++count);
        }
        at += len;
    }
    return 1;
}

/* ---- checking ----------------------------------------------------------------------------- */

struct reader {
    const char *path;
    lua_State *L;
    struct config *config;
    struct err *err;
};

/* The line of the file on which the key is first assigned, 0 if it is not there. */
static int line_of(const char *path, const char *key) {
    char line[1024];
    int number = 0, found = 0;
    size_t len = strlen(key);
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        number++;
        const char *at = line + strspn(line, " \t[\"'");
        if (strncmp(at, key, len) == 0 && strspn(at + len, " \t=]\"'") > 0) {
            found = number;
        }
    }
    if (file) {
        fclose(file);
    }
    return found;
}

static bool complain(struct reader *reader, const char *section, const char *key,
                     const char *what) {
    int line = line_of(reader->path, key[0] ? key : section);
    return err_set(reader->err, ERR_INPUT, "%s:%d: %s%s%s: %s", reader->path, line, section,
                   key[0] ? "." : "", key, what);
}

static bool read_integer(struct reader *reader, const struct field *field, void *target) {
    lua_State *L = reader->L;
    char what[128];
    double value = lua_tonumber(L, -1);
    if (!lua_isnumber(L, -1) || value != floor(value) || value < (double)field->min ||
        value > (double)field->max) {
        snprintf(what, sizeof what, "must be a whole number from %ld to %ld", field->min,
                 field->max);
        return complain(reader, field->section, field->key, what);
    }
    *(int *)target = (int)value;
    return true;
}

static bool read_switch(struct reader *reader, const struct field *field, void *target) {
    lua_State *L = reader->L;
    const char *text = lua_isstring(L, -1) ? lua_tostring(L, -1) : "";
    bool on = lua_isboolean(L, -1) ? lua_toboolean(L, -1)
                                   : !strcasecmp(text, "true") || !strcmp(text, "1");
    if (!lua_isboolean(L, -1) && !on && strcasecmp(text, "false") && strcmp(text, "0")) {
        return complain(reader, field->section, field->key, "must be true or false");
    }
    *(int *)target = on;
    return true;
}

static char *beside(const char *config_path, const char *path) {
    const char *slash = strrchr(config_path, '/');
    char joined[4096];
    if (path[0] == '/' || !slash) {
        return xstrdup(path);
    }
    snprintf(joined, sizeof joined, "%.*s/%s", (int)(slash - config_path), config_path, path);
    return xstrdup(joined);
}

static bool read_strings(struct reader *reader, const struct field *field,
                         struct config_strings *strings) {
    lua_State *L = reader->L;
    size_t count = lua_objlen(L, -1);
    strings->items = xcalloc(count + 1, sizeof *strings->items);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        bool is_text = lua_type(L, -1) == LUA_TSTRING;
        if (is_text) {
            strings->items[strings->count++] = xstrdup(lua_tostring(L, -1));
        }
        lua_pop(L, 1);
        if (!is_text) {
            return complain(reader, field->section, field->key, "must be a list of strings");
        }
    }
    return true;
}

static bool read_pairs(struct reader *reader, const struct field *field,
                       struct config_pairs *pairs) {
    lua_State *L = reader->L;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (lua_type(L, -2) != LUA_TSTRING || !lua_isstring(L, -1)) {
            lua_pop(L, 2);
            return complain(reader, field->section, field->key,
                            "must map property names to strings or numbers");
        }
        size_t count = pairs->count + 1;
        pairs->names = xrealloc(pairs->names, count * sizeof *pairs->names);
        pairs->values = xrealloc(pairs->values, count * sizeof *pairs->values);
        pairs->names[pairs->count] = xstrdup(lua_tostring(L, -2));
        pairs->values[pairs->count++] = xstrdup(lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    return true;
}

static bool read_field(struct reader *reader, const struct field *field) {
    lua_State *L = reader->L; /* [section, value] */
    void *target = (char *)reader->config + field->offset;
    if (lua_isnil(L, -1)) {
        return complain(reader, field->section, field->key, "is missing");
    }
    if (field->kind == STRINGS || field->kind == PAIRS) {
        if (!lua_istable(L, -1)) {
            return complain(reader, field->section, field->key, "must be a table");
        }
        return field->kind == STRINGS ? read_strings(reader, field, target)
                                      : read_pairs(reader, field, target);
    }
    if (field->kind == INTEGER) {
        return read_integer(reader, field, target);
    }
    if (field->kind == SWITCH) {
        return read_switch(reader, field, target);
    }
    if (lua_type(L, -1) != LUA_TSTRING) {
        return complain(reader, field->section, field->key, "must be a string");
    }
    const char *text = lua_tostring(L, -1);
    *(char **)target = field->kind == PATH ? beside(reader->path, text) : xstrdup(text);
    return true;
}

static bool is_known(const char *section, const char *key) {
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (strcmp(fields[i].section, section) == 0 && (!key || strcmp(fields[i].key, key) == 0)) {
            return true;
        }
    }
    return false;
}

static bool check_keys(struct reader *reader, const char *section) {
    lua_State *L = reader->L; /* [section] */
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "[number]";
        if (!is_known(section, key)) {
            bool said = complain(reader, section, key, "unknown key");
            lua_pop(L, 1);
            return said;
        }
    }
    return true;
}

static bool check_sections(struct reader *reader) {
    lua_State *L = reader->L; /* [config] */
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "[number]";
        bool ok = is_known(name, NULL) ? lua_istable(L, -1) && check_keys(reader, name) : false;
        if (!ok) {
            if (reader->err->kind == ERR_NONE) {
                complain(reader, name, "",
                         is_known(name, NULL) ? "must be a table" : "unknown section");
            }
            lua_pop(L, 2);
            return false;
        }
        lua_pop(L, 1);
    }
    return true;
}

static bool read_fields(struct reader *reader) {
    lua_State *L = reader->L;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        lua_getfield(L, -1, fields[i].section);
        if (!lua_istable(L, -1)) {
            return complain(reader, fields[i].section, "", "the section is missing");
        }
        lua_getfield(L, -1, fields[i].key);
        bool ok = read_field(reader, &fields[i]);
        lua_pop(L, 2);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool run_file(struct reader *reader) {
    static const luaL_Reg libraries[] = {
        {"", luaopen_base}, {"table", luaopen_table}, {"string", luaopen_string}};
    lua_State *L = reader->L;
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        lua_pushcfunction(L, libraries[i].func);
        lua_pushstring(L, libraries[i].name);
        lua_call(L, 1, 0);
    }
    lua_register(L, "env", lua_env);
    lua_register(L, "env_or_file", lua_env_or_file);
    lua_register(L, "list", lua_list);
    if (luaL_loadfile(L, reader->path) || lua_pcall(L, 0, 1, 0)) {
        return err_set(reader->err, ERR_INPUT, "%s", lua_tostring(L, -1));
    }
    if (!lua_istable(L, -1)) {
        return err_set(reader->err, ERR_INPUT, "%s: must return a table", reader->path);
    }
    return true;
}

struct config *config_load(const char *path, struct err *err) {
    lua_State *L = luaL_newstate();
    if (!L) {
        err_set(err, ERR_INTERNAL, "no memory for a Lua state");
        return NULL;
    }
    struct config *config = xcalloc(1, sizeof *config);
    struct reader reader = {path, L, config, err};
    err_clear(err);
    bool ok = run_file(&reader) && check_sections(&reader) && read_fields(&reader);
    lua_close(L);
    if (!ok) {
        config_destroy(config);
        return NULL;
    }
    return config;
}

static void free_items(char **items, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(items[i]);
    }
    free(items);
}

void config_destroy(struct config *config) {
    for (size_t i = 0; config && i < FIELD_COUNT; i++) {
        void *target = (char *)config + fields[i].offset;
        if (fields[i].kind == TEXT || fields[i].kind == PATH) {
            free(*(char **)target);
        } else if (fields[i].kind == STRINGS) {
            struct config_strings *strings = target;
            free_items(strings->items, strings->count);
        } else if (fields[i].kind == PAIRS) {
            struct config_pairs *pairs = target;
            free_items(pairs->names, pairs->count);
            free_items(pairs->values, pairs->count);
        }
    }
    free(config);
}
