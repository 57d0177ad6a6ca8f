/* candidate: all that a generation needs in order to run, made aside: the Lua states of every
 * worker and of HTTP. What can fail is done before anything changes. */
#ifndef AGG_HOST_RELOAD_CANDIDATE_H
#define AGG_HOST_RELOAD_CANDIDATE_H

#include "http/api_site.h"
#include "ingest/ingest.h"

/* What is known of a generation's view and queries. */
enum candidate_schema {
    CANDIDATE_UNCHECKED,
    CANDIDATE_CHECKED, /* they agreed with the schema before: a database that is away changes
                          nothing */
};

struct candidate {
    struct api_scripts *api;
    struct ingest_scripts *ingest;
};

/* Of what does not come to run. */
void candidate_free(struct candidate *candidate);

/* Holds the generation's view and queries against the schema, then makes the states. False: err
 * says why, and there is nothing to free. Blocks for some seconds at most. */
bool candidate_make(struct candidate *candidate, struct script_generation *generation,
                    enum candidate_schema schema, const struct builtin_sources *sources,
                    const struct ingest *ingest, struct err *err);

#endif
