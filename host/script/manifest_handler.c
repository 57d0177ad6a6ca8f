/* Reads a handler's declaration: topics, time, fields. */
#include "script_private.h"

#define MAX_FIELDS 64

static const struct {
    const char *name;
    enum field_type type;
} types[] = {
    {"string", FIELD_STRING},   {"integer", FIELD_INTEGER},     {"number", FIELD_NUMBER},
    {"boolean", FIELD_BOOLEAN}, {"timestamp", FIELD_TIMESTAMP}, {"uuid", FIELD_UUID},
    {"json", FIELD_JSON},       {"strings", FIELD_STRINGS},     {"list", FIELD_LIST},
};

struct reader {
    lua_State *L;
    struct script_generation *generation;
    struct err *err;
};

/* The strings of the list at the top; or the string itself. */
static const char **read_texts(struct reader *r, size_t *count) {
    lua_State *L = r->L;
    size_t len = lua_type(L, -1) == LUA_TSTRING ? 1 : lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
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
    return texts;
}

static bool read_type(struct reader *r, struct extract_field *field) {
    lua_getfield(r->L, -1, "type");
    const char *name = lua_tostring(r->L, -1);
    bool known = name == NULL;
    field->type = FIELD_STRING;
    for (size_t i = 0; name && i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, name) == 0) {
            field->type = types[i].type;
            known = true;
        }
    }
    if (!known) {
        err_set(r->err, ERR_INPUT, "field %s: no type \"%s\"", field->name, name);
    }
    lua_pop(r->L, 1);
    return known;
}

static bool read_bound(struct reader *r, const char *key, double *bound) {
    lua_getfield(r->L, -1, key);
    bool there = lua_isnumber(r->L, -1);
    *bound = lua_tonumber(r->L, -1);
    lua_pop(r->L, 1);
    return there;
}

/* enum = { wire = "own", … }, or a list of values that stay as they are. */
static void read_choices(struct reader *r, struct extract_field *field) {
    lua_State *L = r->L;
    lua_getfield(L, -1, "enum");
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        return;
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
        const char *value = lua_tostring(L, -1);
        const char *wire = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : value;
        if (value) {
            choices[field->choice_count] = manifest_text(r->generation, wire);
            values[field->choice_count++] = manifest_text(r->generation, value);
        }
    }
    lua_pop(L, 1);
}

static bool read_fields(struct reader *r, struct extract_field *fields, size_t *count);

/* The field's declaration is at the top: a path, or a table whose list part is paths. */
static bool read_field(struct reader *r, struct extract_field *field) {
    lua_State *L = r->L;
    if (lua_type(L, -1) != LUA_TSTRING && !lua_istable(L, -1)) {
        return err_set(r->err, ERR_INPUT, "field %s: say a path or a table", field->name);
    }
    field->paths = read_texts(r, &field->path_count);
    if (!lua_istable(L, -1)) {
        field->type = FIELD_STRING;
        return true;
    }
    if (!read_type(r, field)) {
        return false;
    }
    lua_getfield(L, -1, "optional");
    field->optional = lua_toboolean(L, -1);
    lua_pop(L, 1);
    field->has_min = read_bound(r, "min", &field->min);
    field->has_max = read_bound(r, "max", &field->max);
    read_choices(r, field);
    if (field->type != FIELD_LIST) {
        return true;
    }
    struct extract_field *element = manifest_alloc(r->generation, MAX_FIELDS * sizeof *element);
    lua_getfield(L, -1, "fields");
    bool ok = lua_istable(L, -1)
                  ? read_fields(r, element, &field->element_count)
                  : err_set(r->err, ERR_INPUT, "field %s: a list needs `fields`", field->name);
    lua_pop(L, 1);
    field->element = element;
    return ok;
}

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
        if (!read_field(r, field)) {
            lua_pop(L, 2);
            return false;
        }
    }
    return true;
}

static void add_envelope(struct reader *r, struct extract_field *fields, const char *time_path) {
    static const char *const paths[ENVELOPE_FIELDS] = {"event_id", NULL, "event_type",
                                                       "correlation_id"};
    static const enum field_type envelope_types[ENVELOPE_FIELDS] = {FIELD_UUID, FIELD_TIMESTAMP,
                                                                    FIELD_STRING, FIELD_STRING};
    for (int i = 0; i < ENVELOPE_FIELDS; i++) {
        const char **path = manifest_alloc(r->generation, sizeof *path);
        path[0] = i == ENVELOPE_TIME ? time_path : paths[i];
        fields[i] = (struct extract_field){
            .name = i == ENVELOPE_TIME ? "time" : paths[i],
            .type = envelope_types[i],
            .optional = i == ENVELOPE_CORRELATION_ID,
            .paths = path,
            .path_count = 1,
        };
    }
}

/* Topics, from `topics` or `topic`. */
static bool read_topics(struct reader *r, struct script_handler *handler) {
    lua_getfield(r->L, -1, "topics");
    if (lua_isnil(r->L, -1)) {
        lua_pop(r->L, 1);
        lua_getfield(r->L, -1, "topic");
    }
    handler->topics = read_texts(r, &handler->topic_count);
    lua_pop(r->L, 1);
    return handler->topic_count > 0 || err_set(r->err, ERR_INPUT, "`topics` is missing");
}

static bool read_plan(struct reader *r, struct script_handler *handler) {
    lua_State *L = r->L;
    struct extract_field *fields =
        manifest_alloc(r->generation, (MAX_FIELDS + ENVELOPE_FIELDS) * sizeof *fields);
    lua_getfield(L, -1, "time");
    const char *time_path =
        lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "event_timestamp";
    add_envelope(r, fields, manifest_text(r->generation, time_path));
    lua_pop(L, 1);
    size_t own = 0;
    lua_getfield(L, -1, "fields");
    bool ok = !lua_istable(L, -1) || read_fields(r, fields + ENVELOPE_FIELDS, &own);
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
    ok = ok && read_topics(&r, handler) && read_plan(&r, handler);
    if (ok) {
        generation->handler_count++;
        lua_getfield(L, -1, "handle");
        ok = lua_isfunction(L, -1) || err_set(err, ERR_INPUT, "`handle` must be a function");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return ok;
}
