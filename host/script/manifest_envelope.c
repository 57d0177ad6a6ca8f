/* Reads scripts/envelope.lua: the fields of every event. */
#include "manifest.h"

struct envelope_reading {
    const char *paths[ENVELOPE_ROLES];
    struct extract_field *fields; /* the roles first */
    size_t further;
};

static void manifest_envelope_read_fields(struct manifest_reader *r, void *target) {
    struct envelope_reading *reading = target;
    manifest_read_fields(r, reading->fields + ENVELOPE_ROLES, &reading->further);
}

/* The roles first, in their order. */
static const struct manifest_key envelope_keys[] = {
    {"id", MANIFEST_TEXT, true, offsetof(struct envelope_reading, paths[ENVELOPE_EVENT_ID]),
     "the path of the event's UUID", NULL},
    {"time", MANIFEST_TEXT, true, offsetof(struct envelope_reading, paths[ENVELOPE_TIME]),
     "the path of the event's time", NULL},
    {"correlation_id", MANIFEST_TEXT, true,
     offsetof(struct envelope_reading, paths[ENVELOPE_CORRELATION_ID]),
     "the path of the correlation id (the event may lack it)", NULL},
    {"fields", MANIFEST_TABLE, false, 0, NULL, manifest_envelope_read_fields},
};

static void manifest_envelope_set_roles(struct envelope_reading *reading) {
    static const struct extract_field roles[ENVELOPE_ROLES] = {
        [ENVELOPE_EVENT_ID] = {.name = "event_id", .type = FIELD_UUID},
        [ENVELOPE_TIME] = {.name = "time", .type = FIELD_TIMESTAMP},
        [ENVELOPE_CORRELATION_ID] = {
            .name = "correlation_id", .type = FIELD_STRING, .optional = true}};
    for (size_t i = 0; i < ENVELOPE_ROLES; i++) {
        reading->fields[i] = roles[i];
        reading->fields[i].paths = &reading->paths[i];
        reading->fields[i].path_count = 1;
    }
}

static void manifest_envelope_check_names(struct manifest_reader *r,
                                          const struct envelope_reading *reading) {
    const struct extract_field *further = reading->fields + ENVELOPE_ROLES;
    for (size_t i = 0; i < reading->further; i++) {
        for (size_t role = 0; role < ENVELOPE_ROLES; role++) {
            if (strcmp(further[i].name, reading->fields[role].name) == 0) {
                manifest_problem(r, further[i].name,
                                 "field %s: the envelope reserves this name: choose another",
                                 further[i].name);
            }
        }
    }
}

static void manifest_envelope_check_roles(struct manifest_reader *r,
                                          const struct envelope_reading *reading) {
    for (size_t role = 0; role < ENVELOPE_ROLES; role++) {
        struct err err = {0};
        struct extract_plan *plan =
            reading->paths[role] ? extract_plan_create(&reading->fields[role], 1, &err) : NULL;
        if (err.kind != ERR_NONE) {
            manifest_problem(r, envelope_keys[role].name, "%s", err.text);
        }
        extract_plan_destroy(plan);
    }
}

/* Every handler's plan has these fields too: reported here, errors name the right file. */
static void manifest_envelope_check_plan(struct manifest_reader *r,
                                         const struct envelope_reading *reading) {
    struct err err = {0};
    struct extract_plan *plan =
        extract_plan_create(reading->fields, ENVELOPE_ROLES + reading->further, &err);
    if (!plan) {
        manifest_problem(r, NULL, "%s", err.text);
    }
    extract_plan_destroy(plan);
}

void manifest_read_envelope(struct manifest_reader *r) {
    struct script_generation *generation = r->generation;
    struct envelope_reading *reading = manifest_alloc(generation, sizeof *reading);
    struct manifest_scope scope = {0};
    size_t before = r->problems->found;
    if (!manifest_load(r, "envelope")) {
        return;
    }
    reading->fields = manifest_alloc(generation, (ENVELOPE_ROLES + MANIFEST_MAX_FIELDS) *
                                                     sizeof *reading->fields);
    manifest_envelope_set_roles(reading);
    manifest_enter(r, &scope, NULL, "envelope");
    manifest_read_table(r, envelope_keys, COUNT(envelope_keys), false, reading);
    manifest_envelope_check_roles(r, reading);
    manifest_envelope_check_names(r, reading);
    if (r->problems->found == before) {
        manifest_envelope_check_plan(r, reading);
    }
    if (r->problems->found == before) {
        generation->envelope = reading->fields;
        generation->envelope_count = ENVELOPE_ROLES + reading->further;
    }
    manifest_leave(r);
}
