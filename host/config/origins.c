/* origins: finds where a value comes from: file and line, and the variables that the file read
 * there. Lua does not keep it, so lines are compared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "lines.h"
#include "reader.h"

static void origins_find_lines(struct config_reader *reader, struct config_layer *layer) {
    lua_State *L = reader->L;
    layer->lines = xcalloc(config_field_count, sizeof *layer->lines);
    for (size_t i = 0; i < config_field_count; i++) {
        const struct config_field *field = &config_fields[i];
        int top = lua_gettop(L);
        lua_pushstring(L, field->section);
        lua_rawget(L, layer->table);
        if (lua_istable(L, -1)) {
            lua_pushstring(L, field->key);
            lua_rawget(L, -2);
            layer->lines[i] =
                lua_isnil(L, -1) ? 0 : config_line_of(layer->text.data, field->section, field->key);
        }
        lua_settop(L, top);
    }
}

/* The line of the last field that begins at or before `line`. *fields: how many begin there. */
static int origins_owner_line(const struct config_layer *layer, int line, int *fields) {
    int owner = 0;
    for (size_t i = 0; i < config_field_count; i++) {
        if (layer->lines[i] <= line && layer->lines[i] > owner) {
            owner = layer->lines[i];
        }
    }
    *fields = 0;
    for (size_t i = 0; i < config_field_count; i++) {
        *fields += layer->lines[i] == owner;
    }
    return owner;
}

/* A variable that was read before the table, or on a line with several fields, is that of the
 * field with its value. */
static bool origins_is_read_for(lua_State *L, const struct config_layer *layer, int line,
                                const struct config_read *read) {
    int fields, owner = origins_owner_line(layer, read->line, &fields);
    bool same = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), read->value) == 0;
    return owner == 0 ? same : owner == line && (fields == 1 || same);
}

void config_origin_note(struct config_reader *reader, const struct config_field *field,
                        struct config_source source) {
    size_t index = (size_t)(field - config_fields);
    struct config_origin *origin = &reader->config->origins[index];
    if (source.layer < 0) {
        if (source.variable) {
            config_strings_add(&origin->variables, source.variable);
        }
        return;
    }
    struct config_layer *layer = &reader->layers[source.layer];
    struct buffer place = {0};
    if (!layer->lines) {
        origins_find_lines(reader, layer);
    }
    buffer_append_format(&place, "%s:%d", layer->path, layer->lines[index]);
    config_strings_add(&origin->files, place.data);
    buffer_free(&place);
    for (size_t i = 0; i < reader->read_count; i++) {
        const struct config_read *read = &reader->reads[i];
        if (read->layer == (size_t)source.layer &&
            origins_is_read_for(reader->L, layer, layer->lines[index], read)) {
            config_strings_add(&origin->variables, read->variable);
        }
    }
}
