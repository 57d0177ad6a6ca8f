#include "candidate.h"

#include "base/log.h"
#include "check/schema_check.h"

#define CHECK_TIMEOUT_MS 5000

static bool candidate_check_schema(const struct script_generation *generation, struct err *err) {
    struct sql_session session;
    bool ok = sql_session_borrow(&session, script_generation_config(generation),
                                 "aggregator reload", CHECK_TIMEOUT_MS, err) &&
              schema_check(&session, generation, SCHEMA_PREPARE, err);
    sql_session_give_back(&session);
    return ok;
}

bool candidate_make(struct candidate *candidate, struct script_generation *generation, bool known,
                    const struct builtin_sources *sources, const struct ingest *ingest,
                    struct err *err) {
    *candidate = (struct candidate){0};
    if (!candidate_check_schema(generation, err)) {
        bool outage = err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT;
        if (!known || !outage) {
            return false;
        }
        log_warning(
            "the database is unavailable: the scripts are not checked against its schema again",
            LOG_TEXT("error", err->text));
        err_clear(err);
    }
    candidate->api = api_scripts_create(generation, sources, err);
    candidate->ingest = candidate->api ? ingest_scripts_create(ingest, generation, err) : NULL;
    if (!candidate->ingest) {
        api_scripts_destroy(candidate->api);
    }
    return candidate->ingest != NULL;
}

void candidate_free(struct candidate *candidate) {
    api_scripts_destroy(candidate->api);
    ingest_scripts_destroy(candidate->ingest);
    *candidate = (struct candidate){0};
}
