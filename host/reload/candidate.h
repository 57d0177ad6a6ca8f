/* candidate: everything a generation needs in order to run: the Lua states of each worker and of
 * HTTP. Made before anything changes, because making it can fail. */
#pragma once

#include "http/api_site.h"
#include "ingest/ingest.h"

struct candidate {
    struct api_scripts *api;
    struct ingest_scripts *ingest;
};

/* Checks the generation's view and queries against the schema, then makes the states. `known`: they
 * agreed with the schema before, so that an unavailable database only costs a warning. False: err
 * says why, and there is nothing to free. Blocks for some seconds at most. */
bool candidate_make(struct candidate *candidate, struct script_generation *generation, bool known,
                    const struct builtin_sources *sources, const struct ingest *ingest,
                    struct err *err);
/* After it was replaced, or refused. */
void candidate_free(struct candidate *candidate);
