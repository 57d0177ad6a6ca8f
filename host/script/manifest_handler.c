/* Reads a handler's declaration: topics, time, fields. */
#include <stdio.h>
#include <stdlib.h>

#include "script_private.h"

#define MAX_FIELDS 64

static const char *const type_names[] = {
    [FIELD_STRING] = "string",   [FIELD_INTEGER] = "integer",     [FIELD_NUMBER] = "number",
    [FIELD_BOOLEAN] = "boolean", [FIELD_TIMESTAMP] = "timestamp", [FIELD_UUID] = "uuid",
    [FIELD_JSON] = "json",       [FIELD_OBJECT] = "object",       [FIELD_STRINGS] = "strings",
    [FIELD_LIST] = "list",       [FIELD_LIST + 1] = NULL};
static const char *const handler_keys[] = {"topics", "time", "fields", "handle", NULL};
static const char *const field_keys[] = {"type", "optional", "required_if", "check_only", "min",
                                         "max",  "enum",     "fields",      NULL};

struct reader {
    lua_State *L;
    struct script_generation *generation;
    struct err *err;
};

/* The strings of the list at the top; or the string itself. NULL: something else is among them. */
static const char **read_texts(struct reader *r, size_t *count) {
    lua_State *L = r->L;
    size_t len = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
    const char **texts = manifest_alloc(r->generation, (len + 1) * sizeof *texts);
    *count = 0;
    if (lua_type(L, -1) == LUA_TSTRING) {
        texts[(*count)++] = manifest_text(r->generation, lua_tostring(L, -1));
        return texts;
    }
    for (size_t i = 0; i < len; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        if (lua_type(L, -1) == LUA_TSTRING) {
            texts[(*count)++] = manifest_text(r->generation, lua_tostring(L, -1));
        }
        lua_pop(L, 1);
    }
    return *count == len ? texts : NULL;
}

/* Pushes the field's key. False: it is there, but of another type. */
static bool push_key(struct reader *r, const struct extract_field *field, const char *key,
                     int type) {
    lua_getfield(r->L, -1, key);
    if (lua_isnil(r->L, -1) || lua_type(r->L, -1) == type) {
        return true;
    }
    err_set(r->err, ERR_INPUT, "field %s: `%s` takes a %s, not a %s", field->name, key,
            lua_typename(r->L, type), luaL_typename(r->L, -1));
    lua_pop(r->L, 1);
    return false;
}

static bool read_type(struct reader *r, struct extract_field *field) {
    char owner[128];
    if (!push_key(r, field, "type", LUA_TSTRING)) {
        return false;
    }
    const char *name = lua_tostring(r->L, -1);
    lua_pop(r->L, 1); /* the table still holds it */
    field->type = FIELD_STRING;
    for (int type = FIELD_STRING; name && type_names[type]; type++) {
        if (strcmp(type_names[type], name) == 0) {
            field->type = type;
            return true;
        }
    }
    snprintf(owner, sizeof owner, "field %s", field->name);
    return !name || manifest_refuse(r->L, owner, "type", name, type_names, r->err);
}

static bool read_switch(struct reader *r, const struct extract_field *field, const char *key,
                        bool *on) {
    if (!push_key(r, field, key, LUA_TBOOLEAN)) {
        return false;
    }
    *on = lua_toboolean(r->L, -1);
    lua_pop(r->L, 1);
    return true;
}

static bool read_bound(struct reader *r, const struct extract_field *field, const char *key,
                       bool *there, double *bound) {
    if (!push_key(r, field, key, LUA_TNUMBER)) {
        return false;
    }
    *there = lua_isnumber(r->L, -1);
    *bound = lua_tonumber(r->L, -1);
    lua_pop(r->L, 1);
    bool counts = field->type <= FIELD_NUMBER || field->type == FIELD_STRINGS;
    return !*there || counts ||
           err_set(r->err, ERR_INPUT, "field %s: `%s` is for numbers and strings", field->name,
                   key);
}

static bool read_condition(struct reader *r, struct extract_field *field) {
    if (!push_key(r, field, "required_if", LUA_TSTRING)) {
        return false;
    }
    const char *other = lua_tostring(r->L, -1);
    field->required_if = other ? manifest_text(r->generation, other) : NULL;
    lua_pop(r->L, 1);
    return true;
}

/* enum = { wire = "own", … }, or a list of values that stay as they are. */
static bool read_choices(struct reader *r, struct extract_field *field) {
    lua_State *L = r->L;
    if (!push_key(r, field, "enum", LUA_TTABLE)) {
        return false;
    }
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return true;
    }
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        count++;
    }
    const char **choices = manifest_alloc(r->generation, (count + 1) * sizeof *choices);
    const char **values = manifest_alloc(r->generation, (count + 1) * sizeof *values);
    field->choices = choices;
    field->choice_values = values;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const char *value = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        const char *wire = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : value;
        if (value) {
            choices[field->choice_count] = manifest_text(r->generation, wire);
            values[field->choice_count++] = manifest_text(r->generation, value);
        }
    }
    lua_pop(L, 1);
    return (field->type == FIELD_STRING && field->choice_count == count) ||
           err_set(r->err, ERR_INPUT, "field %s: `enum` is a table of strings, for a string",
                   field->name);
}

static bool read_fields(struct reader *r, struct extract_field *fields, size_t *count);

static bool read_element(struct reader *r, struct extract_field *field) {
    lua_State *L = r->L;
    if (!push_key(r, field, "fields", LUA_TTABLE)) {
        return false;
    }
    bool there = !lua_isnil(L, -1);
    bool ok = there == (field->type == FIELD_LIST) ||
              err_set(r->err, ERR_INPUT, "field %s: a list needs `fields`, and only a list has it",
                      field->name);
    if (ok && there) {
        struct extract_field *element = manifest_alloc(r->generation, MAX_FIELDS * sizeof *element);
        ok = read_fields(r, element, &field->element_count);
        field->element = element;
    }
    lua_pop(L, 1);
    return ok;
}

/* The field's declaration is at the top: a path, or a table whose list part is paths. */
static bool read_field(struct reader *r, struct extract_field *field) {
    lua_State *L = r->L;
    char owner[128];
    snprintf(owner, sizeof owner, "field %s", field->name);
    if (lua_type(L, -1) != LUA_TSTRING && !lua_istable(L, -1)) {
        return err_set(r->err, ERR_INPUT, "%s: say a path or a table", owner);
    }
    field->paths = read_texts(r, &field->path_count);
    if (!field->paths || field->path_count == 0) {
        return err_set(r->err, ERR_INPUT, "%s: its paths are strings, at least one", owner);
    }
    if (!lua_istable(L, -1)) {
        field->type = FIELD_STRING;
        return true;
    }
    return manifest_check_keys(L, owner, field_keys, r->err) && read_type(r, field) &&
           read_switch(r, field, "optional", &field->optional) &&
           read_switch(r, field, "check_only", &field->check_only) && read_condition(r, field) &&
           read_bound(r, field, "min", &field->has_min, &field->min) &&
           read_bound(r, field, "max", &field->has_max, &field->max) && read_choices(r, field) &&
           read_element(r, field);
}

static int compare_paths(const void *a, const void *b) {
    return strcmp(((const struct extract_field *)a)->paths[0],
                  ((const struct extract_field *)b)->paths[0]);
}

/* `required_if` names another field of the same table. */
static bool check_conditions(struct reader *r, const struct extract_field *fields, size_t count) {
    const char *names[MAX_FIELDS + 1] = {NULL};
    char owner[128];
    for (size_t i = 0; i < count; i++) {
        names[i] = fields[i].name;
    }
    for (size_t i = 0; i < count; i++) {
        const char *other = fields[i].required_if;
        size_t j = 0;
        while (other && j < count && strcmp(names[j], other) != 0) {
            j++;
        }
        if (other && j == count) {
            snprintf(owner, sizeof owner, "field %s: required_if", fields[i].name);
            return manifest_refuse(r->L, owner, "field", other, names, r->err);
        }
    }
    return true;
}

/* In the order of their paths: of an object that is wrong it is said before what it lacks, and of
 * two errors in an event it is always the same one. */
static bool read_fields(struct reader *r, struct extract_field *fields, size_t *count) {
    lua_State *L = r->L;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (*count == MAX_FIELDS || lua_type(L, -2) != LUA_TSTRING) {
            lua_pop(L, 2);
            return err_set(r->err, ERR_INPUT, "`fields` maps at most %d names to paths",
                           MAX_FIELDS);
        }
        struct extract_field *field = &fields[(*count)++];
        field->name = manifest_text(r->generation, lua_tostring(L, -2));
        manifest_blame(L, field->name);
        if (!read_field(r, field)) {
            lua_pop(L, 2);
            return false;
        }
    }
    manifest_blame(L, "fields");
    qsort(fields, *count, sizeof *fields, compare_paths);
    return check_conditions(r, fields, *count);
}

static void add_envelope(struct reader *r, struct extract_field *fields, const char *time_path) {
    static const char *const paths[ENVELOPE_FIELDS] = {"event_id", NULL, "event_type",
                                                       "correlation_id", "source_service"};
    static const enum field_type envelope_types[ENVELOPE_FIELDS] = {
        FIELD_UUID, FIELD_TIMESTAMP, FIELD_STRING, FIELD_STRING, FIELD_STRING};
    for (int i = 0; i < ENVELOPE_FIELDS; i++) {
        const char **path = manifest_alloc(r->generation, sizeof *path);
        path[0] = i == ENVELOPE_TIME ? time_path : paths[i];
        fields[i] = (struct extract_field){
            .name = i == ENVELOPE_TIME ? "time" : paths[i],
            .type = envelope_types[i],
            .optional = i == ENVELOPE_CORRELATION_ID,
            .check_only = i == ENVELOPE_SOURCE,
            .paths = path,
            .path_count = 1,
        };
    }
}

static bool read_topics(struct reader *r, struct script_handler *handler) {
    manifest_blame(r->L, "topics");
    lua_getfield(r->L, -1, "topics");
    handler->topics = read_texts(r, &handler->topic_count);
    lua_pop(r->L, 1);
    return (handler->topics && handler->topic_count > 0) ||
           err_set(r->err, ERR_INPUT, "`topics` is a list of names, at least one");
}

static bool read_plan(struct reader *r, struct script_handler *handler) {
    lua_State *L = r->L;
    struct extract_field *fields =
        manifest_alloc(r->generation, (MAX_FIELDS + ENVELOPE_FIELDS) * sizeof *fields);
    manifest_blame(L, "time");
    lua_getfield(L, -1, "time");
    const char *time_path = lua_isnil(L, -1)                 ? "event_timestamp"
                            : lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1)
                                                             : NULL;
    if (!time_path) {
        lua_pop(L, 1);
        return err_set(r->err, ERR_INPUT, "`time` is the path of the event's own time");
    }
    add_envelope(r, fields, manifest_text(r->generation, time_path));
    lua_pop(L, 1);
    size_t own = 0;
    manifest_blame(L, "fields");
    lua_getfield(L, -1, "fields");
    bool ok = lua_istable(L, -1) ? read_fields(r, fields + ENVELOPE_FIELDS, &own)
                                 : err_set(r->err, ERR_INPUT, "`fields` is a table, maybe empty");
    lua_pop(L, 1);
    handler->fields = fields;
    handler->field_count = own + ENVELOPE_FIELDS;
    handler->plan = ok ? extract_plan_create(fields, handler->field_count, r->err) : NULL;
    return handler->plan != NULL;
}

bool manifest_read_handler(struct script_instance *instance, struct script_generation *generation,
                           const char *name, struct err *err) {
    lua_State *L = instance->L;
    struct reader r = {L, generation, err};
    if (!sandbox_load(instance, name, err)) {
        return false;
    }
    struct script_handler *handler = &generation->handlers[generation->handler_count];
    handler->name = manifest_text(generation, name);
    bool ok = lua_istable(L, -1) || err_set(err, ERR_INPUT, "a handler returns a table");
    ok = ok && manifest_check_keys(L, "handler", handler_keys, err) && read_topics(&r, handler) &&
         read_plan(&r, handler);
    if (ok) {
        generation->handler_count++;
        manifest_blame(L, "handle");
        lua_getfield(L, -1, "handle");
        ok = lua_isfunction(L, -1) || err_set(err, ERR_INPUT, "`handle` must be a function");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return ok;
}
