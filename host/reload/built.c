#include "built.h"

#include "../view/schema_check.h"

#define CHECK_TIMEOUT_MS 5000

static bool check_schema(const struct script_generation *generation, struct err *err) {
    struct sql_session session;
    bool ok = sql_session_borrow(&session, script_generation_config(generation),
                                 "aggregator reload", CHECK_TIMEOUT_MS, err) &&
              schema_check(&session, generation, err);
    sql_session_give_back(&session);
    return ok;
}

bool built_make(struct built *built, struct script_generation *generation, struct health *health,
                const struct ingest *ingest, struct err *err) {
    *built = (struct built){0};
    if (!check_schema(generation, err)) {
        return false;
    }
    built->api = api_scripts_create(generation, health, err);
    built->ingest = built->api ? ingest_scripts_create(ingest, generation, err) : NULL;
    if (!built->ingest) {
        api_scripts_destroy(built->api);
    }
    return built->ingest != NULL;
}

void built_free(struct built *built) {
    api_scripts_destroy(built->api);
    ingest_scripts_destroy(built->ingest);
    *built = (struct built){0};
}
