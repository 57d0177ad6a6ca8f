/* config: reads the files of a configuration, checks their tables against the fields, and chooses
 * the source of each value. */
#include "config.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/lua_job.h"
#include "base/nearest.h"
#include "base/redact.h"
#include "base/regular_file.h"
#include "base/xalloc.h"
#include "lines.h"
#include "location.h"
#include "reader.h"

#define TIMEOUT_MS 5000
#define MEMORY_BYTES (64UL * 1024 * 1024)

/* ---- problems ------------------------------------------------------------------------------ */

void config_complain(struct config_reader *reader, struct config_source source, const char *section,
                     const char *key, const char *what) {
    const char *dot = key[0] ? "." : "";
    if (source.layer >= 0) {
        const struct config_layer *layer = &reader->layers[source.layer];
        problems_add(&reader->problems, layer->path, config_line_of(layer->text.data, section, key),
                     "%s%s%s: %s", section, dot, key, what);
    } else {
        problems_add(&reader->problems, "", 0, "%s: %s%s%s: %s",
                     source.variable ? source.variable : "default", section, dot, key, what);
    }
}

const struct config_origin *config_origin_of(const struct config *config, const char *section,
                                             const char *key) {
    for (size_t i = 0; config->origins && i < config_field_count; i++) {
        if (strcmp(config_fields[i].section, section) == 0 &&
            strcmp(config_fields[i].key, key) == 0) {
            return &config->origins[i];
        }
    }
    return NULL;
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
static void config_refuse_unknown(struct config_reader *reader, struct config_source source,
                                  const char *section, const char *key) {
    const char **names = xcalloc(config_field_count + 1, sizeof *names);
    char hint[NEAREST_HINT_CAP], what[NEAREST_HINT_CAP + 32];
    size_t count = 0;
    for (size_t i = 0; i < config_field_count; i++) {
        const struct config_field *field = &config_fields[i];
        bool again = i > 0 && strcmp(field->section, config_fields[i - 1].section) == 0;
        if (key ? strcmp(field->section, section) == 0 : !again) {
            names[count++] = key ? field->key : field->section;
        }
    }
    if (!key) {
        names[count++] = "extends";
    }
    snprintf(what, sizeof what, "unknown %s: %s", key ? "key" : "section",
             nearest_hint(hint, key ? key : section, names, count));
    free(names);
    config_complain(reader, source, section, key ? key : "", what);
}

/* ---- a file's table ------------------------------------------------------------------------ */

static const char *config_key_name(lua_State *L, int index) {
    return lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "[number]";
}

/* Each value is read raw, and so must have no metatable. */
static void config_check_section(struct config_reader *reader, struct config_source source) {
    lua_State *L = reader->L; /* [name, section] */
    const char *name = config_key_name(L, -2);
    if (!config_is_known(name, NULL)) {
        config_refuse_unknown(reader, source, name, NULL);
        return;
    }
    char mistake[CONFIG_TABLE_MISTAKE_CAP];
    if (!config_table_check(L, "be", mistake)) {
        config_complain(reader, source, name, "", mistake);
        return;
    }
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const char *key = config_key_name(L, -2);
        if (!config_is_known(name, key) && reader->problems.found < PROBLEMS_MAX) {
            config_refuse_unknown(reader, source, name, key);
        }
    }
}

static void config_check_layer(struct config_reader *reader, size_t layer) {
    lua_State *L = reader->L;
    lua_pushnil(L);
    while (reader->problems.found < PROBLEMS_MAX && lua_next(L, reader->layers[layer].table)) {
        int top = lua_gettop(L);
        if (strcmp(config_key_name(L, -2), "extends") != 0) {
            config_check_section(reader, (struct config_source){(int)layer, NULL});
        }
        lua_settop(L, top - 1);
    }
}

/* ---- values -------------------------------------------------------------------------------- */

/* Pushes the field of the layer's table, or nil. */
static bool config_push_field(struct config_reader *reader, size_t layer,
                              const struct config_field *field) {
    lua_State *L = reader->L;
    lua_pushstring(L, field->section);
    lua_rawget(L, reader->layers[layer].table);
    if (!lua_istable(L, -1)) {
        return false;
    }
    lua_pushstring(L, field->key);
    lua_rawget(L, -2);
    return !lua_isnil(L, -1);
}

static void config_take_value(struct config_reader *reader, const struct config_field *field,
                              struct config_source source) {
    config_origin_note(reader, field, source);
    config_read_value(reader, field, source);
}

/* Maps are merged from the last file to the first; then variables. */
static void config_read_map(struct config_reader *reader, const struct config_field *field) {
    int top = lua_gettop(reader->L);
    for (size_t layer = reader->layer_count; layer-- > 0; lua_settop(reader->L, top)) {
        if (config_push_field(reader, layer, field)) {
            config_take_value(reader, field, (struct config_source){(int)layer, NULL});
        }
    }
    const char *variable = config_variable_push(reader, field);
    if (variable) {
        config_take_value(reader, field, (struct config_source){-1, variable});
    }
    config_variables_read_entries(reader, field, (void *)((char *)reader->config + field->offset));
}

static void config_read_field(struct config_reader *reader, const struct config_field *field) {
    const char *variable = config_variable_push(reader, field);
    if (variable) {
        config_take_value(reader, field, (struct config_source){-1, variable});
        return;
    }
    for (size_t layer = 0; layer < reader->layer_count; layer++) {
        if (config_push_field(reader, layer, field)) {
            config_take_value(reader, field, (struct config_source){(int)layer, NULL});
            return;
        }
    }
    lua_pushstring(reader->L, field->standard);
    config_take_value(reader, field, (struct config_source){-1, NULL});
}

static void config_read_fields(struct config_reader *reader) {
    for (size_t i = 0; i < config_field_count; i++) {
        int top = lua_gettop(reader->L);
        if (config_fields[i].kind == PAIRS) {
            config_read_map(reader, &config_fields[i]);
        } else {
            config_read_field(reader, &config_fields[i]);
        }
        lua_settop(reader->L, top);
    }
}

const char *config_place_of(const struct config *config, const char *section, const char *key) {
    const struct config_origin *origin = config_origin_of(config, section, key);
    return origin && origin->files.count       ? origin->files.items[origin->files.count - 1]
           : origin && origin->variables.count ? origin->variables.items[0]
                                               : "default";
}

/* Each header field has one meaning. */
static void config_check_headers(struct config_reader *reader) {
    const struct config *config = reader->config;
    const struct {
        const char *key, *name;
    } headers[] = {{"api_key_header", config->http.api_key_header},
                   {"caller_header", config->http.caller_header},
                   {"correlation_id_header", config->http.correlation_id_header}};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        for (size_t j = 0; j < i; j++) {
            if (headers[i].name && headers[j].name &&
                strcasecmp(headers[i].name, headers[j].name) == 0) {
                char what[64];
                snprintf(what, sizeof what, "names the field of http.%s: name another",
                         headers[j].key);
                problems_add(&reader->problems, "", 0, "%s: http.%s: %s",
                             config_place_of(reader->config, "http", headers[i].key),
                             headers[i].key, what);
            }
        }
    }
}

static void config_check_work(struct config_reader *reader) {
    const struct config *config = reader->config;
    if (config->ingest.workers == 0 && !config->http.routes && reader->problems.found == 0) {
        problems_add(&reader->problems, "", 0,
                     "ingest.workers is 0 (%s) and http.routes is false (%s): this process would "
                     "do nothing; set ingest.workers to 1 or more, or http.routes to true",
                     config_place_of(config, "ingest", "workers"),
                     config_place_of(config, "http", "routes"));
    }
}

static bool config_has_item(const struct config_strings *strings, const char *item) {
    for (size_t i = 0; i < strings->count; i++) {
        if (strcmp(strings->items[i], item) == 0) {
            return true;
        }
    }
    return false;
}

/* A misspelt caller would read words that it does not know. */
static void config_check_callers(struct config_reader *reader) {
    const struct config_pairs *callers = &reader->config->http.vocabularies;
    const struct config_strings *services = &reader->config->http.allowed_services;
    for (size_t i = 0; i < callers->count; i++) {
        struct buffer text = {0};
        char hint[NEAREST_HINT_CAP];
        if (!config_has_item(services, callers->names[i])) {
            buffer_append_format(
                &text,
                "%s: http.vocabularies: \"%.200s\" is not in "
                "http.allowed_services: %s",
                config_place_of(reader->config, "http", "vocabularies"), callers->names[i],
                nearest_hint(hint, callers->names[i], (const char *const *)services->items,
                             services->count));
            config_strings_add(&reader->config->warnings, text.data);
            buffer_free(&text);
        }
    }
}

/* The body of the job: each call may raise. */
static int config_read(lua_State *L) {
    struct config_reader *reader = lua_touserdata(L, 1);
    reader->L = L;
    if (!config_layers_run(reader)) {
        return 0;
    }
    for (size_t i = 0; i < reader->layer_count; i++) {
        config_check_layer(reader, i);
    }
    config_read_fields(reader);
    config_check_headers(reader);
    config_check_work(reader);
    config_check_callers(reader);
    config_variables_check(reader);
    return 0;
}

/* ---- secrets ------------------------------------------------------------------------------- */

bool config_is_secret_option(const char *name) {
    static const char *const parts[] = {"pass", "secret", "key.pem", "oauthbearer.config", "jaas"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcasestr(name, parts[i])) {
            return true;
        }
    }
    return false;
}

static void config_redact_pairs(const struct config_pairs *pairs) {
    for (size_t i = 0; i < pairs->count; i++) {
        if (config_is_secret_option(pairs->names[i])) {
            redact_add(slice_of(pairs->values[i]));
        }
    }
}

static void config_redact_text(enum config_kind kind, const char *text) {
    if (text && (kind == POSTGRES_URL || kind == REDIS_URL)) {
        redact_add_url(text);
    } else if (text) {
        redact_add(slice_of(text));
    }
}

void config_redact_secrets(const struct config *config) {
    for (size_t i = 0; i < config_field_count; i++) {
        const struct config_field *field = &config_fields[i];
        const void *value = (const char *)config + field->offset;
        const struct config_strings *strings = value;
        if (field->kind == PAIRS) {
            config_redact_pairs(value);
        } else if (field->secret && field->kind == STRINGS) {
            for (size_t k = 0; k < strings->count; k++) {
                config_redact_text(field->urls ? POSTGRES_URL : STRINGS, strings->items[k]);
            }
        } else if (field->secret || field->kind == POSTGRES_URL || field->kind == REDIS_URL) {
            config_redact_text(field->kind, *(char *const *)value);
        }
    }
}

struct config *config_new(void) {
    struct config *config = xcalloc(1, sizeof *config);
    atomic_init(&config->refs, 1);
    config->origins = xcalloc(config_field_count, sizeof *config->origins);
    return config;
}

/* Fills what can be read. */
static bool config_load_into(struct config *config, const char *path, struct err *err) {
    struct config_reader reader = {.path = path, .config = config};
    struct lua_job job = {path, config_read, &reader, TIMEOUT_MS, MEMORY_BYTES};
    err_clear(err);
    bool good = lua_job_run(&job, err) && problems_report(&reader.problems, err);
    config_reader_free(&reader);
    config_redact_secrets(config);
    return good;
}

struct config *config_load(const char *path, struct err *err) {
    struct config *config = config_new();
    if (!config_load_into(config, path, err)) {
        config_unref(config);
        return NULL;
    }
    return config;
}

/* As the text has it, of a file that Lua refuses. malloc'ed; NULL: not there. */
static char *config_find_socket_text(const char *path) {
    struct buffer text = {0};
    struct err ignored = {0};
    char *found = NULL;
    if (regular_file_read(AT_FDCWD, path, path, CONFIG_TEXT_MAX_BYTES, &text, &ignored) &&
        text.len > 0) {
        struct slice socket = config_string_of(text.data, "admin", "socket");
        char *name = xstrndup(socket.data ? socket.data : "", socket.len);
        found = name[0] ? config_resolve(path, name) : NULL;
        free(name);
    }
    buffer_free(&text);
    return found;
}

char *config_find_socket(const char *path) {
    struct config *config = config_new();
    struct err ignored = {0};
    config_load_into(config, path, &ignored);
    char *socket =
        config->admin.socket ? xstrdup(config->admin.socket) : config_find_socket_text(path);
    config_unref(config);
    return socket ? socket : config_default_socket(path);
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

const char *config_kafka_instance(const struct config *config) {
    const struct config_pairs *options = &config->kafka.options;
    for (size_t i = 0; i < options->count; i++) {
        if (strcmp(options->names[i], "group.instance.id") == 0) {
            return options->values[i];
        }
    }
    return NULL;
}
