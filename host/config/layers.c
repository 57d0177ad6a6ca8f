/* layers: runs a configuration file, and those that it extends. */
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "base/regular_file.h"
#include "base/xalloc.h"
#include "functions.h"
#include "reader.h"

char *config_resolve(const char *file, const char *name) {
    const char *slash = strrchr(file, '/');
    struct buffer joined = {0};
    if (name[0] == '/' || name[0] == '\0' || !slash) {
        return xstrdup(name);
    }
    buffer_append_format(&joined, "%.*s/%s", (int)(slash - file), file, name);
    return joined.data;
}

static void layers_open_libraries(lua_State *L) {
    static const luaL_Reg libraries[] = {
        {"", luaopen_base}, {"table", luaopen_table}, {"string", luaopen_string}};
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        lua_pushcfunction(L, libraries[i].func);
        lua_pushstring(L, libraries[i].name);
        lua_call(L, 1, 0);
    }
}

static bool layers_fail(struct config_reader *reader, const struct err *err) {
    problems_add(&reader->problems, "", 0, "%s", err->text);
    return false;
}

bool config_table_check(lua_State *L, const char *must, char mistake[CONFIG_TABLE_MISTAKE_CAP]) {
    if (!lua_istable(L, -1)) {
        snprintf(mistake, CONFIG_TABLE_MISTAKE_CAP, "must %s a table, got %s%s", must,
                 lua_isnil(L, -1) ? "" : "a ", luaL_typename(L, -1));
        return false;
    }
    if (lua_getmetatable(L, -1)) {
        lua_pop(L, 1);
        snprintf(mistake, CONFIG_TABLE_MISTAKE_CAP, "must %s a table without a metatable", must);
        return false;
    }
    return true;
}

/* Leaves the file's table on the stack. */
static bool layers_run_file(struct config_reader *reader, struct config_layer *layer) {
    lua_State *L = reader->L;
    struct err err = {0};
    if (!regular_file_read(AT_FDCWD, layer->path, layer->path, CONFIG_TEXT_MAX_BYTES, &layer->text,
                           &err)) {
        return layers_fail(reader, &err);
    }
    lua_pushfstring(L, "@%s", layer->path);
    if (luaL_loadbufferx(L, layer->text.data, layer->text.len, lua_tostring(L, -1), "t")) {
        lua_error(L);
    }
    lua_call(L, 0, 1);
    layer->table = lua_gettop(L);
    char mistake[CONFIG_TABLE_MISTAKE_CAP];
    if (!config_table_check(L, "return", mistake)) {
        err_set(&err, ERR_INPUT, "%s: %s", layer->path, mistake);
        return layers_fail(reader, &err);
    }
    return true;
}

/* The file that the layer extends; malloc'ed, NULL: none, or a problem is noted. */
static char *layers_base(struct config_reader *reader, const struct config_layer *layer) {
    lua_State *L = reader->L;
    lua_pushstring(L, "extends");
    lua_rawget(L, layer->table);
    size_t len = 0;
    const char *path = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : "";
    bool is_path = len > 0 && strlen(path) == len;
    if (!is_path && !lua_isnil(L, -1)) {
        config_complain(reader, (struct config_source){(int)(layer - reader->layers), NULL},
                        "extends", "", "must be the path of a configuration file");
    } else if (is_path && reader->layer_count == CONFIG_LAYERS_MAX) {
        config_complain(reader, (struct config_source){(int)(layer - reader->layers), NULL},
                        "extends", "", "too many files: does one extend itself?");
        is_path = false;
    }
    char *base = is_path ? config_resolve(layer->path, path) : NULL;
    lua_pop(L, 1);
    return base;
}

bool config_layers_run(struct config_reader *reader) {
    char *next = xstrdup(reader->path);
    layers_open_libraries(reader->L);
    config_functions_register(reader);
    while (next) {
        struct config_layer *layer = &reader->layers[reader->layer_count++];
        layer->path = next;
        config_strings_add(&reader->config->files, next);
        luaL_checkstack(reader->L, 8, "files");
        next = layers_run_file(reader, layer) ? layers_base(reader, layer) : NULL;
    }
    return reader->problems.found == 0;
}

void config_reader_free(struct config_reader *reader) {
    for (size_t i = 0; i < reader->layer_count; i++) {
        free(reader->layers[i].path);
        free(reader->layers[i].lines);
        buffer_free(&reader->layers[i].text);
    }
    for (size_t i = 0; i < reader->read_count; i++) {
        free(reader->reads[i].variable);
        explicit_bzero(reader->reads[i].value, strlen(reader->reads[i].value));
        free(reader->reads[i].value);
    }
    free(reader->reads);
    problems_free(&reader->problems);
}
