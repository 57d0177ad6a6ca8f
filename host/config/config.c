/* config: runs config.lua and checks its table against the fields. */
#include "config.h"

#include <ctype.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/lua_job.h"
#include "fields.h"
#include "functions.h"
#include "lines.h"
#include "places.h"
#include "base/nearest.h"
#include "base/redact.h"
#include "base/regular_file.h"
#include "base/xalloc.h"

#define TIMEOUT_MS 5000
#define HEADER_NAME_BYTES 64
#define MEMORY_BYTES (64UL * 1024 * 1024)

/* ---- checking ----------------------------------------------------------------------------- */

struct reader {
    const char *path;
    struct buffer text;
    lua_State *L;
    struct config *config;
    struct err *err;
    bool good;
};

static bool config_complain(struct reader *reader, const char *section, const char *key,
                            const char *what) {
    char line[16] = "";
    int number = config_line_of(reader->path, section, key);
    if (number > 0) {
        snprintf(line, sizeof line, ":%d", number);
    }
    return err_set(reader->err, ERR_INPUT, "%s%s: %s%s%s: %s", reader->path, line, section,
                   key[0] ? "." : "", key, what);
}

static bool config_read_integer(struct reader *reader, const struct config_field *field,
                                void *target) {
    lua_State *L = reader->L;
    char what[160];
    double value = lua_tonumber(L, -1);
    if (!lua_isnumber(L, -1) || value != floor(value) || value < (double)field->min ||
        value > (double)field->max) {
        snprintf(what, sizeof what, "must be a whole number from %ld to %ld, not %.80s", field->min,
                 field->max, lua_isstring(L, -1) ? lua_tostring(L, -1) : luaL_typename(L, -1));
        return config_complain(reader, field->section, field->key, what);
    }
    *(int *)target = (int)value;
    return true;
}

static bool config_read_switch(struct reader *reader, const struct config_field *field,
                               void *target) {
    lua_State *L = reader->L;
    const char *text = lua_isstring(L, -1) ? lua_tostring(L, -1) : "";
    bool on = lua_isboolean(L, -1) ? lua_toboolean(L, -1)
                                   : strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0;
    if (!lua_isboolean(L, -1) && !on && strcasecmp(text, "false") != 0 && strcmp(text, "0") != 0) {
        return config_complain(reader, field->section, field->key, "must be true or false");
    }
    *(int *)target = on;
    return true;
}

/* A relative path, resolved from the folder of config.lua; an empty path (none) stays empty. */
static char *config_resolve(const char *config_path, const char *path) {
    const char *slash = strrchr(config_path, '/');
    struct buffer joined = {0};
    if (path[0] == '/' || path[0] == '\0' || !slash) {
        return xstrdup(path);
    }
    buffer_append_format(&joined, "%.*s/%s", (int)(slash - config_path), config_path, path);
    return joined.data;
}

static bool config_read_strings(struct reader *reader, const struct config_field *field,
                                struct config_strings *strings) {
    lua_State *L = reader->L;
    size_t count = lua_objlen(L, -1), keys = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        keys++;
    }
    if (keys != count) {
        return config_complain(reader, field->section, field->key, "must be a list of strings");
    }
    strings->items = xcalloc(count + 1, sizeof *strings->items);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        bool is_text = lua_type(L, -1) == LUA_TSTRING;
        if (is_text) {
            strings->items[strings->count++] = xstrdup(lua_tostring(L, -1));
        }
        lua_pop(L, 1);
        if (!is_text) {
            return config_complain(reader, field->section, field->key, "must be a list of strings");
        }
    }
    return true;
}

static bool config_read_pairs(struct reader *reader, const struct config_field *field,
                              struct config_pairs *pairs) {
    lua_State *L = reader->L;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (lua_type(L, -2) != LUA_TSTRING || !lua_isstring(L, -1)) {
            lua_pop(L, 2);
            return config_complain(reader, field->section, field->key, field->words);
        }
        const char *name = lua_tostring(L, -2), *value = lua_tostring(L, -1); /* may raise */
        size_t count = pairs->count + 1;
        pairs->names = xrealloc(pairs->names, count * sizeof *pairs->names);
        pairs->values = xrealloc(pairs->values, count * sizeof *pairs->values);
        pairs->names[pairs->count] = xstrdup(name);
        pairs->values[pairs->count++] = xstrdup(value);
        lua_pop(L, 1);
    }
    return true;
}

/* Ignores case. `words` has a space around each word. */
static bool config_is_among(const char *word, const char *words) {
    size_t len = strlen(word);
    for (const char *at = words + 1; *at; at += strcspn(at, " ") + 1) {
        if (strcspn(at, " ") == len && strncasecmp(at, word, len) == 0) {
            return true;
        }
    }
    return false;
}

/* A token of RFC 9110, but no field that HTTP defines, nor one that the server reads or writes. */
static bool config_is_header_name(const char *text) {
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
    return len > 0 && len <= HEADER_NAME_BYTES && !config_is_among(text, taken) &&
           strspn(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == len;
}

static bool config_read_field(struct reader *reader, const struct config_field *field) {
    lua_State *L = reader->L; /* [section, value] */
    void *target = (char *)reader->config + field->offset;
    if (lua_isnil(L, -1) && field->kind == HEADER) {
        lua_pop(L, 1);
        lua_pushstring(L, field->words);
    }
    if (lua_isnil(L, -1)) {
        return config_complain(reader, field->section, field->key, "is missing");
    }
    if (field->kind == STRINGS || field->kind == PAIRS) {
        if (!lua_istable(L, -1)) {
            return config_complain(reader, field->section, field->key,
                                   field->kind == PAIRS ? field->words : "must be a table");
        }
        return field->kind == STRINGS ? config_read_strings(reader, field, target)
                                      : config_read_pairs(reader, field, target);
    }
    if (field->kind == INTEGER) {
        return config_read_integer(reader, field, target);
    }
    if (field->kind == SWITCH) {
        return config_read_switch(reader, field, target);
    }
    if (lua_type(L, -1) != LUA_TSTRING) {
        return config_complain(reader, field->section, field->key, "must be a string");
    }
    const char *text = lua_tostring(L, -1);
    if (strlen(text) != lua_objlen(L, -1)) {
        return config_complain(reader, field->section, field->key, "must not hold a NUL byte");
    }
    if (field->kind == HEADER && !config_is_header_name(text)) {
        return config_complain(
            reader, field->section, field->key,
            "must be the name of a header field that HTTP does not use itself, of 1 to "
            "64 letters, digits and hyphens");
    }
    if (field->kind == WORD && !config_is_among(text, field->words)) {
        char what[160];
        snprintf(what, sizeof what, "must be one of%.*s, not \"%.60s\"",
                 (int)strlen(field->words) - 1, field->words, text);
        return config_complain(reader, field->section, field->key, what);
    }
    struct err place = {0};
    if (!config_check_place(field->kind, text, &place)) {
        return config_complain(reader, field->section, field->key, place.text);
    }
    char *copy = field->kind == PATH ? config_resolve(reader->path, text) : xstrdup(text);
    for (char *at = copy; field->kind == WORD && *at; at++) {
        *at = (char)tolower((unsigned char)*at);
    }
    *(char **)target = copy;
    return true;
}

static bool config_is_known(const char *section, const char *key) {
    for (size_t i = 0; i < config_field_count; i++) {
        if (strcmp(config_fields[i].section, section) == 0 &&
            (!key || strcmp(config_fields[i].key, key) == 0)) {
            return true;
        }
    }
    return false;
}

/* Reports an unknown section, or key of a section, with the nearest known name. */
static bool config_refuse_unknown(struct reader *reader, const char *section, const char *key) {
    const char **names = xcalloc(config_field_count, sizeof *names);
    char hint[NEAREST_HINT_CAP], what[NEAREST_HINT_CAP + 32];
    size_t count = 0;
    for (size_t i = 0; i < config_field_count; i++) {
        const struct config_field *field = &config_fields[i];
        bool again = i > 0 && strcmp(field->section, config_fields[i - 1].section) == 0;
        if (key ? strcmp(field->section, section) == 0 : !again) {
            names[count++] = key ? field->key : field->section;
        }
    }
    snprintf(what, sizeof what, "unknown %s: %s", key ? "key" : "section",
             nearest_hint(hint, key ? key : section, names, count));
    free(names);
    return config_complain(reader, section, key ? key : "", what);
}

static bool config_check_keys(struct reader *reader, const char *section) {
    lua_State *L = reader->L; /* [section] */
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "[number]";
        if (!config_is_known(section, key)) {
            return config_refuse_unknown(reader, section, key);
        }
    }
    return true;
}

/* Pushes the raw field of the table at the top. */
static void config_push_raw(lua_State *L, const char *key) {
    lua_pushstring(L, key);
    lua_rawget(L, -2);
}

/* This reader reads raw: it would ignore a metatable. */
static bool config_is_plain(lua_State *L) {
    return lua_istable(L, -1) && !lua_getmetatable(L, -1);
}

/* In the order of the fields, so that of two errors always the same one is reported. */
static bool config_check_types(struct reader *reader) {
    lua_State *L = reader->L; /* [config] */
    for (size_t i = 0; i < config_field_count; i++) {
        config_push_raw(L, config_fields[i].section);
        if (!lua_isnil(L, -1) && !config_is_plain(L)) {
            return config_complain(reader, config_fields[i].section, "",
                                   "must be a table, without a metatable");
        }
        lua_pop(L, 1);
    }
    return true;
}

static bool config_check_sections(struct reader *reader) {
    lua_State *L = reader->L; /* [config] */
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "[number]";
        bool ok = config_is_known(name, NULL) ? config_check_keys(reader, name)
                                              : config_refuse_unknown(reader, name, NULL);
        if (!ok) {
            return false;
        }
        lua_pop(L, 1);
    }
    return true;
}

static bool config_read_fields(struct reader *reader) {
    lua_State *L = reader->L;
    for (size_t i = 0; i < config_field_count; i++) {
        config_push_raw(L, config_fields[i].section);
        if (!lua_istable(L, -1)) {
            return config_complain(reader, config_fields[i].section, "", "the section is missing");
        }
        config_push_raw(L, config_fields[i].key);
        bool ok = config_read_field(reader, &config_fields[i]);
        lua_pop(L, 2);
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* Each header field has one meaning. */
static bool config_check_headers(struct reader *reader) {
    const struct config *config = reader->config;
    const struct {
        const char *key, *name;
    } headers[] = {{"api_key_header", config->http.api_key_header},
                   {"caller_header", config->http.caller_header},
                   {"correlation_id_header", config->http.correlation_id_header}};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcasecmp(headers[i].name, headers[j].name) == 0) {
                char what[64];
                snprintf(what, sizeof what, "names the field of http.%s: name another",
                         headers[j].key);
                return config_complain(reader, "http", headers[i].key, what);
            }
        }
    }
    return true;
}

/* Leaves the table on the stack. */
static bool config_run_file(struct reader *reader) {
    static const luaL_Reg libraries[] = {
        {"", luaopen_base}, {"table", luaopen_table}, {"string", luaopen_string}};
    lua_State *L = reader->L;
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        lua_pushcfunction(L, libraries[i].func);
        lua_pushstring(L, libraries[i].name);
        lua_call(L, 1, 0);
    }
    config_functions_register(L, &reader->config->secret_files);
    lua_pushfstring(L, "@%s", reader->path);
    if (luaL_loadbufferx(L, reader->text.data, reader->text.len, lua_tostring(L, -1), "t")) {
        lua_error(L);
    }
    lua_call(L, 0, 1);
    return config_is_plain(L) ||
           err_set(reader->err, ERR_INPUT, "%s: must return a table, without a metatable",
                   reader->path);
}

/* The body of the job: each call may raise. */
static int config_read_config(lua_State *L) {
    struct reader *reader = lua_touserdata(L, 1);
    reader->L = L;
    reader->good = config_run_file(reader) && config_check_types(reader) &&
                   config_check_sections(reader) && config_read_fields(reader) &&
                   config_check_headers(reader);
    return 0;
}

/* ---- secrets ------------------------------------------------------------------------------- */

/* A property of librdkafka that holds a secret. */
static bool config_is_secret_option(const char *name) {
    return strstr(name, "password") || strstr(name, "secret") || strstr(name, "key.pem") ||
           strstr(name, "oauthbearer.config");
}

static void config_redact_secrets(const struct config *config) {
    const struct config_strings *keys[] = {&config->http.api_keys, &config->admin.keys};
    const struct config_pairs *options = &config->kafka.options;
    redact_add_url(config->postgres.url);
    redact_add_url(config->redis.url);
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < keys[i]->count; k++) {
            redact_add(slice_of(keys[i]->items[k]));
        }
    }
    for (size_t i = 0; i < options->count; i++) {
        if (config_is_secret_option(options->names[i])) {
            redact_add(slice_of(options->values[i]));
        }
    }
}

struct config *config_load(const char *path, struct err *err) {
    struct config *config = xcalloc(1, sizeof *config);
    atomic_init(&config->refs, 1);
    struct reader reader = {.path = path, .config = config, .err = err};
    struct lua_job job = {path, config_read_config, &reader, TIMEOUT_MS, MEMORY_BYTES};
    err_clear(err);
    bool good = regular_file_read(AT_FDCWD, path, path, CONFIG_TEXT_MAX_BYTES, &reader.text, err) &&
                lua_job_run(&job, err) && reader.good;
    buffer_free(&reader.text);
    if (!good) {
        config_unref(config);
        return NULL;
    }
    config_redact_secrets(config);
    return config;
}

struct kafka_settings config_kafka_settings(const struct config *config) {
    return (struct kafka_settings){
        .brokers = config->kafka.brokers,
        .client_id = config->kafka.client_id,
        .group = config->kafka.group,
        .session_timeout_ms = config->kafka.session_timeout_ms,
        .option_names = config->kafka.options.names,
        .option_values = config->kafka.options.values,
        .option_count = config->kafka.options.count,
    };
}
