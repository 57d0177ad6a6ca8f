/* settings: takes over the settings of a running program. */
#include <lauxlib.h>
#include <string.h>

#include "base/lua_job.h"
#include "base/xalloc.h"
#include "bindings/lua_json.h"
#include "reader.h"
#include "show.h"

#define TIMEOUT_MS 5000
#define MEMORY_BYTES (64UL * 1024 * 1024)

struct settings {
    struct config_reader reader;
    struct slice json;
};

static const struct config_field *settings_find_field(const char *name) {
    size_t len = strcspn(name, ".");
    for (size_t i = 0; name[len] && i < config_field_count; i++) {
        const struct config_field *field = &config_fields[i];
        if (slice_equal((struct slice){name, len}, slice_of(field->section)) &&
            strcmp(name + len + 1, field->key) == 0) {
            return field;
        }
    }
    return NULL; /* of a program of another release */
}

/* The entry at the top: { key = , value = }. */
static void settings_take_entry(struct config_reader *reader, bool *taken) {
    lua_State *L = reader->L;
    lua_getfield(L, -1, "key");
    const struct config_field *field =
        lua_type(L, -1) == LUA_TSTRING ? settings_find_field(lua_tostring(L, -1)) : NULL;
    lua_getfield(L, -2, "value");
    if (field && !taken[field - config_fields]) {
        taken[field - config_fields] = true;
        config_read_value(reader, field, (struct config_source){-1, "the running program"});
    }
}

/* Those that the program does not have. */
static void settings_take_defaults(struct config_reader *reader, const bool *taken) {
    for (size_t i = 0; i < config_field_count; i++) {
        if (!taken[i]) {
            lua_pushstring(reader->L, config_fields[i].standard);
            config_read_value(reader, &config_fields[i], (struct config_source){-1, NULL});
        }
    }
}

/* An older program does not know the question. */
static void settings_need_table(lua_State *L) {
    if (!lua_istable(L, -1)) {
        luaL_error(L, "the running program sent no settings: is it of an older release?");
    }
}

static int settings_read(lua_State *L) {
    struct settings *settings = lua_touserdata(L, 1);
    struct config_reader *reader = &settings->reader;
    bool *taken = lua_newuserdata(L, config_field_count * sizeof *taken);
    memset(taken, 0, config_field_count * sizeof *taken);
    reader->L = L;
    lua_pushcfunction(L, lua_json_decode);
    lua_pushlstring(L, settings->json.data, settings->json.len);
    lua_call(L, 1, 1);
    settings_need_table(L);
    lua_getfield(L, -1, "settings");
    settings_need_table(L);
    for (size_t i = 1; i <= lua_objlen(L, 4); i++) {
        lua_rawgeti(L, 4, (int)i);
        settings_need_table(L);
        settings_take_entry(reader, taken);
        lua_settop(L, 4);
    }
    settings_take_defaults(reader, taken);
    return 0;
}

struct config *config_of_settings(struct slice json, struct err *err) {
    struct config *config = config_new();
    struct settings settings = {.reader.config = config, .json = json};
    struct lua_job job = {"settings", settings_read, &settings, TIMEOUT_MS, MEMORY_BYTES};
    bool good = lua_job_run(&job, err) && problems_report(&settings.reader.problems, err);
    config_reader_free(&settings.reader);
    config_redact_secrets(config);
    if (!good) {
        config_unref(config);
        return NULL;
    }
    return config;
}
