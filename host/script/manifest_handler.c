/* Reads a handler's declaration: topics, time, fields. */
#include <math.h>
#include <stdlib.h>

#include "manifest.h"

#define MAX_ALL_FIELDS 512 /* of one handler, with those of lists: a table may contain itself */
#define MAX_PATHS 16
#define MAX_TOPICS 64
#define MAX_WHOLE 9007199254740992.0 /* 2^53 */

const char *const manifest_field_types[FIELD_LIST + 1] = {
    [FIELD_STRING] = "string", [FIELD_INTEGER] = "integer", [FIELD_BIGINT] = "bigint",
    [FIELD_NUMBER] = "number", [FIELD_BOOLEAN] = "boolean", [FIELD_TIMESTAMP] = "timestamp",
    [FIELD_DATE] = "date",     [FIELD_UUID] = "uuid",       [FIELD_JSON] = "json",
    [FIELD_OBJECT] = "object", [FIELD_STRINGS] = "strings", [FIELD_LIST] = "list"};

/* ---- a field ------------------------------------------------------------------------------ */

struct field_reading {
    struct extract_field *field;
    const char *type;
    const char *required_if;
    struct manifest_number min, max;
    bool optional, check_only;
};

static void manifest_handler_check_choices(struct manifest_reader *r,
                                           const struct extract_field *field) {
    for (size_t i = 0; i < field->choice_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(field->choices[i], field->choices[j]) == 0) {
                manifest_problem(r, "enum", "`enum` has \"%.80s\" twice", field->choices[i]);
                return;
            }
        }
    }
}

/* A list of strings that may also be a map: { "a", wire = "own" }. */
static void manifest_handler_read_choices(struct manifest_reader *r, void *target) {
    lua_State *L = r->L;
    struct extract_field *field = ((struct field_reading *)target)->field;
    size_t count = 0, listed = 0;
    lua_Number last = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        lua_Number at = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
        bool worded = lua_type(L, -2) == LUA_TSTRING || at >= 1;
        if (!worded || lua_type(L, -1) != LUA_TSTRING || count == MAX_ALL_FIELDS) {
            lua_pop(L, 2);
            manifest_problem(r, "enum", "`enum` is a table of strings, %d at most", MAX_ALL_FIELDS);
            return;
        }
        count++;
        listed += at >= 1;
        last = at > last ? at : last;
    }
    if ((lua_Number)listed != last) {
        manifest_problem(r, "enum", "the list of `enum` has a gap");
    }
    if (count == 0) {
        manifest_problem(r, "enum", "`enum` is empty: no value would be accepted");
    }
    const char **choices = manifest_alloc(r->generation, (count + 1) * sizeof *choices);
    const char **values = manifest_alloc(r->generation, (count + 1) * sizeof *values);
    field->choices = choices;
    field->choice_values = values;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const char *value = lua_tostring(L, -1);
        const char *wire = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : value;
        choices[field->choice_count] = manifest_text(r->generation, wire);
        values[field->choice_count++] = manifest_text(r->generation, value);
    }
    manifest_handler_check_choices(r, field);
}

static void manifest_handler_read_element(struct manifest_reader *r, void *target) {
    struct extract_field *field = ((struct field_reading *)target)->field;
    struct extract_field *element =
        manifest_alloc(r->generation, MANIFEST_MAX_FIELDS * sizeof *element);
    manifest_read_fields(r, element, &field->element_count);
    field->element = element;
}

static const struct manifest_key field_keys[] = {
    {"type", MANIFEST_TEXT, false, offsetof(struct field_reading, type), NULL, NULL},
    {"optional", MANIFEST_SWITCH, false, offsetof(struct field_reading, optional), NULL, NULL},
    {"required_if", MANIFEST_TEXT, false, offsetof(struct field_reading, required_if), NULL, NULL},
    {"check_only", MANIFEST_SWITCH, false, offsetof(struct field_reading, check_only), NULL, NULL},
    {"min", MANIFEST_NUMBER, false, offsetof(struct field_reading, min), NULL, NULL},
    {"max", MANIFEST_NUMBER, false, offsetof(struct field_reading, max), NULL, NULL},
    {"enum", MANIFEST_TABLE, false, 0, NULL, manifest_handler_read_choices},
    {"fields", MANIFEST_TABLE, false, 0, NULL, manifest_handler_read_element},
};

static void manifest_handler_take_type(struct manifest_reader *r, struct field_reading *reading) {
    reading->field->type = FIELD_STRING;
    if (!reading->type) {
        return;
    }
    for (size_t i = 0; i < COUNT(manifest_field_types); i++) {
        if (strcmp(manifest_field_types[i], reading->type) == 0) {
            reading->field->type = (enum field_type)i;
            return;
        }
    }
    manifest_refuse(r, "type", reading->type, manifest_field_types, COUNT(manifest_field_types));
}

static void manifest_handler_check_bound(struct manifest_reader *r, enum field_type type,
                                         const char *key, const struct manifest_number *bound) {
    bool length = type == FIELD_STRING || type == FIELD_STRINGS;
    bool whole = length || type == FIELD_INTEGER || type == FIELD_BIGINT;
    if (!bound->there) {
        return;
    }
    if (!whole && type != FIELD_NUMBER) {
        manifest_problem(r, key, "`%s` is for numbers and strings", key);
    } else if (!isfinite(bound->value)) {
        manifest_problem(r, key, "`%s` is not a finite number: omit it for no bound", key);
    } else if (whole && (bound->value != floor(bound->value) || fabs(bound->value) > MAX_WHOLE)) {
        manifest_problem(r, key, "`%s` is a whole number here, not %g", key, bound->value);
    } else if (length && bound->value < 0) {
        manifest_problem(r, key, "`%s` is a length in bytes here, not %g", key, bound->value);
    }
}

static void manifest_handler_take_bounds(struct manifest_reader *r,
                                         const struct field_reading *reading) {
    struct extract_field *field = reading->field;
    field->has_min = reading->min.there;
    field->min = reading->min.value;
    field->has_max = reading->max.there;
    field->max = reading->max.value;
    manifest_handler_check_bound(r, field->type, "min", &reading->min);
    manifest_handler_check_bound(r, field->type, "max", &reading->max);
    if (field->has_min && field->has_max && field->min > field->max) {
        manifest_problem(r, "min",
                         "`min` %.17g is more than `max` %.17g: no value would be accepted",
                         field->min, field->max);
    }
}

static void manifest_handler_check_paths(struct manifest_reader *r,
                                         const struct extract_field *field) {
    for (size_t i = 0; i < field->path_count; i++) {
        const char *path = field->paths[i];
        size_t len = strlen(path);
        if (path[0] == '.' || path[len - 1] == '.' || strstr(path, "..")) {
            manifest_problem(r, path, "the path \"%.200s\" has an empty part", path);
        }
    }
}

static void manifest_handler_take_paths(struct manifest_reader *r, struct extract_field *field,
                                        bool named) {
    const char **paths;
    if (named) {
        paths = manifest_alloc(r->generation, sizeof *paths);
        paths[0] = field->name;
        field->path_count = 1;
    } else {
        paths = manifest_take_list_part(r, "path", MAX_PATHS, &field->path_count);
    }
    if (paths) {
        field->paths = paths;
        manifest_handler_check_paths(r, field);
    }
}

/* The field's declaration, at the top, is a path, or a table with paths as its list part. */
static void manifest_handler_read_field(struct manifest_reader *r, struct extract_field *field) {
    lua_State *L = r->L;
    struct field_reading reading = {.field = field};
    bool table = lua_istable(L, -1);
    if (lua_type(L, -1) != LUA_TSTRING && !table) {
        manifest_problem(r, NULL, "a field is a path or a table, not a %s", luaL_typename(L, -1));
        return;
    }
    if (table && !manifest_read_table(r, field_keys, COUNT(field_keys), true, &reading)) {
        return;
    }
    if (table && lua_objlen(L, -1) == 0 && !r->names_are_paths) {
        manifest_problem(r, NULL, "its paths are missing: strings, at least one");
        return;
    }
    manifest_handler_take_paths(r, field, table && lua_objlen(L, -1) == 0);
    manifest_handler_take_type(r, &reading);
    manifest_handler_take_bounds(r, &reading);
    field->optional = reading.optional;
    field->check_only = reading.check_only;
    field->required_if = reading.required_if;
    if (field->choices && field->type != FIELD_STRING) {
        manifest_problem(r, "enum", "`enum` is for a string");
    }
    if (field->choices && (field->has_min || field->has_max)) {
        manifest_problem(r, "enum", "`min` and `max` have no effect with `enum`: remove them");
    }
    if ((field->element != NULL) != (field->type == FIELD_LIST)) {
        manifest_problem(r, NULL, "`fields` belongs to a list, and a list needs it");
    }
}

/* ---- fields ------------------------------------------------------------------------------- */

static int manifest_handler_compare_paths(const void *a, const void *b) {
    const struct extract_field *one = a, *other = b;
    return strcmp(one->paths ? one->paths[0] : "", other->paths ? other->paths[0] : "");
}

/* `required_if` names another field of the same table. */
static void manifest_handler_check_condition(struct manifest_reader *r,
                                             const struct extract_field *fields, size_t count,
                                             const struct extract_field *field) {
    const char *names[MANIFEST_MAX_FIELDS];
    struct manifest_scope scope = {0};
    size_t others = 0;
    for (size_t i = 0; i < count; i++) {
        if (&fields[i] != field) {
            names[others++] = fields[i].name;
        }
        if (&fields[i] != field && strcmp(fields[i].name, field->required_if) == 0) {
            return;
        }
    }
    manifest_enter(r, &scope, field->name, "field %s: required_if", field->name);
    manifest_refuse(r, "other field", field->required_if, names, others);
    manifest_leave(r);
}

static void manifest_handler_read_named_field(struct manifest_reader *r,
                                              struct extract_field *field) {
    struct manifest_scope scope = {0};
    field->name = manifest_text(r->generation, lua_tostring(r->L, -2));
    manifest_enter(r, &scope, field->name, "field %s", field->name);
    manifest_handler_read_field(r, field);
    manifest_leave(r);
}

/* Sorted by path: an error of an object precedes errors inside it, and an event with two errors
 * always reports the same one. */
void manifest_read_fields(struct manifest_reader *r, struct extract_field *fields, size_t *count) {
    lua_State *L = r->L;
    luaL_checkstack(L, 10, "`fields` in `fields`");
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        bool full = *count == MANIFEST_MAX_FIELDS || r->fields_read == MAX_ALL_FIELDS;
        if (full || lua_type(L, -2) != LUA_TSTRING) {
            lua_pop(L, 2);
            manifest_problem(r, NULL,
                             "`fields` maps names to paths: %d at most, and %d with those of lists",
                             MANIFEST_MAX_FIELDS, MAX_ALL_FIELDS);
            return;
        }
        r->fields_read++;
        manifest_handler_read_named_field(r, &fields[(*count)++]);
    }
    qsort(fields, *count, sizeof *fields, manifest_handler_compare_paths);
    for (size_t i = 0; i < *count; i++) {
        if (fields[i].required_if) {
            manifest_handler_check_condition(r, fields, *count, &fields[i]);
        }
    }
}

/* ---- the handler -------------------------------------------------------------------------- */

struct handler_reading {
    struct script_handler *handler;
    struct extract_field *fields; /* the envelope's first */
    size_t own;
    const char *time;
};

static void manifest_handler_check_topic(struct manifest_reader *r, const char *topic) {
    if (!script_is_topic(topic)) {
        manifest_problem(
            r, topic,
            "\"%.250s\" is not a topic name: use letters, digits, . _ and -, up to 249 bytes",
            topic);
    }
}

static void manifest_handler_read_topics(struct manifest_reader *r, void *target) {
    struct script_handler *handler = ((struct handler_reading *)target)->handler;
    size_t len;
    if (lua_istable(r->L, -1) &&
        !manifest_is_list(r, "topics", "a list of names without a gap", MAX_TOPICS, &len)) {
        return;
    }
    const char **topics = manifest_take_texts(r, "topics", MAX_TOPICS, &handler->topic_count);
    handler->topics = topics;
    handler->topic_count = topics ? handler->topic_count : 0;
    for (size_t i = 0; i < handler->topic_count; i++) {
        manifest_handler_check_topic(r, topics[i]);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(topics[i], topics[j]) == 0) {
                manifest_problem(r, topics[i], "the topic %s is declared twice", topics[i]);
            }
        }
    }
}

static void manifest_handler_read_own_fields(struct manifest_reader *r, void *target) {
    struct handler_reading *reading = target;
    const struct script_generation *generation = r->generation;
    struct extract_field *own = reading->fields + generation->envelope_count;
    manifest_read_fields(r, own, &reading->own);
    for (size_t i = 0; i < reading->own; i++) {
        for (size_t e = 0; e < generation->envelope_count; e++) {
            if (strcmp(own[i].name, generation->envelope[e].name) == 0) {
                manifest_problem(r, own[i].name,
                                 "field %s: the envelope reserves this name: choose another",
                                 own[i].name);
            }
        }
    }
}

/* The envelope's fields; the handler may take the time from another path. */
static void manifest_handler_add_envelope(struct manifest_reader *r,
                                          const struct handler_reading *reading) {
    struct extract_field *fields = reading->fields;
    memcpy(fields, r->generation->envelope, r->generation->envelope_count * sizeof *fields);
    if (reading->time) {
        const char **path = manifest_alloc(r->generation, sizeof *path);
        *path = reading->time;
        fields[ENVELOPE_TIME].paths = path;
    }
}

static const struct manifest_key handler_keys[] = {
    {"topics", MANIFEST_TEXTS, true, 0, "a list of names, at least one",
     manifest_handler_read_topics},
    {"time", MANIFEST_TEXT, false, offsetof(struct handler_reading, time), NULL, NULL},
    {"fields", MANIFEST_TABLE, true, 0, "a table of paths by name, may be empty",
     manifest_handler_read_own_fields},
    {"handle", MANIFEST_FUNCTION, true, 0, "function(event, view)", NULL},
};

static void manifest_handler_make_plan(struct manifest_reader *r, struct script_handler *handler) {
    struct err err = {0};
    handler->plan = extract_plan_create(handler->fields, handler->field_count, &err);
    if (!handler->plan) {
        manifest_problem(r, "fields", "%s", err.text);
    }
}

/* With problems the plan stays NULL, and the generation is refused. */
void manifest_read_handler(struct manifest_reader *r, const char *name) {
    struct script_generation *generation = r->generation;
    struct script_handler *handler = &generation->handlers[generation->handler_count];
    size_t count = generation->envelope_count, before = r->problems->found;
    struct handler_reading reading = {.handler = handler};
    struct manifest_scope scope = {0};
    if (!manifest_load(r, name)) {
        return;
    }
    r->fields_read = 0;
    reading.fields =
        manifest_alloc(generation, (MANIFEST_MAX_FIELDS + count) * sizeof *reading.fields);
    handler->name = manifest_text(generation, name);
    manifest_enter(r, &scope, NULL, "handler");
    manifest_read_table(r, handler_keys, COUNT(handler_keys), false, &reading);
    handler->fields = reading.fields;
    handler->field_count = reading.own + count;
    if (count > 0) {
        manifest_handler_add_envelope(r, &reading);
    }
    if (count > 0 && r->problems->found == before) {
        manifest_handler_make_plan(r, handler);
    }
    generation->handler_count++;
    manifest_leave(r);
}
