/* built: all that a generation needs in order to run, made aside: the Lua states of every worker
 * and of HTTP. What can fail is done before anything changes. */
#ifndef AGG_HOST_RELOAD_BUILT_H
#define AGG_HOST_RELOAD_BUILT_H

#include "../http/api_site.h"
#include "../ingest/ingest.h"

/* What is known of a generation's view and queries. */
enum built_schema {
    BUILT_UNCHECKED,
    BUILT_CHECKED, /* they agreed with the schema before: a database that is away changes nothing */
};

struct built {
    struct api_scripts *api;
    struct ingest_scripts *ingest;
};

/* Of what does not come to run. */
void built_free(struct built *built);

/* Holds the generation's view and queries against the schema, then makes the states. False: err
 * says why, and there is nothing to free. Blocks for some seconds at most. */
bool built_make(struct built *built, struct script_generation *generation, enum built_schema schema,
                const struct builtin_sources *sources, const struct ingest *ingest,
                struct err *err);

#endif
