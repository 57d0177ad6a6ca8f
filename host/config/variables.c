/* variables: AGGREGATOR_SECTION_KEY overrides a setting of every file. */
#include <ctype.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "base/xalloc.h"
#include "functions.h"
#include "reader.h"

#define PREFIX "AGGREGATOR_"
#define NAME_CAP CONFIG_VARIABLE_CAP
#define FILE_SUFFIX "_FILE"

void config_variable_name(const struct config_field *field, char name[NAME_CAP]) {
    snprintf(name, NAME_CAP, PREFIX "%s_%s", field->section, field->key);
    for (char *at = name; *at; at++) {
        *at = (char)toupper((unsigned char)*at);
    }
}

const char *config_variable_push(struct config_reader *reader, const struct config_field *field) {
    lua_State *L = reader->L;
    char name[NAME_CAP];
    config_variable_name(field, name);
    const char *value = getenv(name);
    bool by_file = !value || !value[0];
    const char *kept = lua_pushfstring(L, "%s%s", name, by_file ? FILE_SUFFIX : "");
    if (!config_push_secret(L, reader, name)) {
        lua_pop(L, 1);
        return NULL;
    }
    return kept;
}

/* The entry's name: OPTIONS_SASL_PASSWORD is sasl.password. *by_file: it ends in _FILE. */
static size_t variables_entry_name(const char *rest, size_t len, char name[NAME_CAP],
                                   bool *by_file) {
    size_t suffix = strlen(FILE_SUFFIX);
    *by_file = len > suffix && memcmp(rest + len - suffix, FILE_SUFFIX, suffix) == 0;
    len -= *by_file ? suffix : 0;
    if (len == 0 || len >= NAME_CAP) {
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        name[i] = rest[i] == '_' ? '.' : (char)tolower((unsigned char)rest[i]);
    }
    name[len] = '\0';
    return len;
}

/* `entry` is NAME=VALUE of the environment, with the field's prefix. */
static void variables_read_entry(struct config_reader *reader, const struct config_field *field,
                                 const char *entry, size_t prefix, struct config_pairs *pairs) {
    lua_State *L = reader->L;
    char name[NAME_CAP];
    bool by_file;
    size_t len = strcspn(entry, "=");
    if (!entry[len] || !entry[len + 1] || strncmp(entry + prefix, "FILE=", 5) == 0 ||
        !variables_entry_name(entry + prefix, len - prefix, name, &by_file)) {
        return;
    }
    lua_pushlstring(L, entry, len);
    const char *variable = lua_tostring(L, -1);
    lua_pushlstring(L, entry, len - (by_file ? strlen(FILE_SUFFIX) : 0));
    if (config_push_secret(L, reader, lua_tostring(L, -1))) {
        config_pairs_put(pairs, name, lua_tostring(L, -1));
        config_origin_note(reader, field, (struct config_source){-1, variable});
    }
}

void config_variables_read_entries(struct config_reader *reader, const struct config_field *field,
                                   struct config_pairs *pairs) {
    char name[NAME_CAP], prefix[NAME_CAP + 1];
    config_variable_name(field, name);
    snprintf(prefix, sizeof prefix, "%s_", name);
    for (char **entry = environ; field->dotted && *entry; entry++) {
        if (strncmp(*entry, prefix, strlen(prefix)) == 0) {
            int top = lua_gettop(reader->L);
            variables_read_entry(reader, field, *entry, strlen(prefix), pairs);
            lua_settop(reader->L, top);
        }
    }
}

/* ---- misspelt names ------------------------------------------------------------------------- */

/* The name without _FILE, if it is that of a field or of an entry. */
static bool variables_is_known(const char *name) {
    for (size_t i = 0; i < config_field_count; i++) {
        char known[NAME_CAP];
        config_variable_name(&config_fields[i], known);
        size_t len = strlen(known);
        if (strncmp(name, known, len) == 0 && (!name[len] || strcmp(name + len, FILE_SUFFIX) == 0 ||
                                               (config_fields[i].dotted && name[len] == '_'))) {
            return true;
        }
    }
    return strcmp(name, CONFIG_PATH_VARIABLE) == 0;
}

static void variables_warn(struct config_reader *reader, const char *name) {
    char(*known)[NAME_CAP] = xcalloc(config_field_count, sizeof *known);
    const char **names = xcalloc(config_field_count, sizeof *names);
    struct buffer text = {0};
    for (size_t i = 0; i < config_field_count; i++) {
        config_variable_name(&config_fields[i], known[i]);
        names[i] = known[i];
    }
    const char *nearest = nearest_name(name, names, config_field_count);
    if (nearest) { /* other names with the prefix are Kubernetes', for a service of that name */
        buffer_append_format(&text, "the variable %s names no setting: did you mean \"%s\"?", name,
                             nearest);
        config_strings_add(&reader->config->warnings, text.data);
    }
    buffer_free(&text);
    free(names);
    free(known);
}

void config_variables_check(struct config_reader *reader) {
    for (char **entry = environ; *entry; entry++) {
        size_t len = strcspn(*entry, "=");
        if (strncmp(*entry, PREFIX, strlen(PREFIX)) == 0 && len < NAME_CAP) {
            char name[NAME_CAP] = "";
            memcpy(name, *entry, len);
            if (!variables_is_known(name)) {
                variables_warn(reader, name);
            }
        }
    }
}
