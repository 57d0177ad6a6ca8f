/* spec: runs busted specs in the sandbox, limits and modules of production. Each spec file gets a
 * fresh Lua state with the handlers and routes of the one generation that was loaded. One thread.
 *
 * Specs see the sandbox's globals and busted's words; busted itself, which is trusted, runs with
 * libraries that neither specs nor scripts can reach. */
#ifndef AGG_HOST_SCRIPT_SPEC_H
#define AGG_HOST_SCRIPT_SPEC_H

#include "config/config.h"
#include "base/err.h"

struct spec_options {
    const char *support; /* folder of modules for specs; its doubles/NAME.lua replace bindings */
    bool real;           /* the real bindings instead of the doubles */
    bool coverage;       /* count lines of scripts */
};

struct spec_totals {
    int passed, failed, skipped;
};

struct spec_run;

/* Loads the scripts and the support modules. NULL: err names file:line and what to do. */
struct spec_run *spec_run_create(const struct config *config, const struct spec_options *options,
                                 struct err *err);
void spec_run_destroy(struct spec_run *run);
/* Runs one file, prints its failures to standard output and adds to the totals. A file that cannot
 * be run counts as one failure. */
void spec_run_file(struct spec_run *run, const char *path, struct spec_totals *totals);
/* Prints lines run per script. False: below min_percent, or it could not be worked out (said on
 * standard output). */
bool spec_run_coverage(struct spec_run *run, double min_percent);

#endif
