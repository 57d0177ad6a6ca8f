/* spec: runs busted specs in production's sandbox, with its limits and modules. Each file gets a
 * fresh Lua state of the one generation. One thread. Specs see the sandbox's globals and busted's
 * words; busted is trusted and has libraries that specs and scripts cannot reach. */
#pragma once

#include "config/config.h"
#include "base/err.h"

struct spec_options {
    /* A folder of modules for specs, which may be missing; they replace those that the binary
     * carries. doubles/NAME.lua replaces a binding. */
    const char *support;
    bool real;     /* the real bindings instead of the doubles */
    bool coverage; /* count lines of scripts */
};

struct spec_totals {
    int passed, failed, skipped;
};

struct spec_run;

/* Loads the scripts and the support modules. NULL: err names file:line and what to do. */
struct spec_run *spec_run_create(const struct config *config, const struct spec_options *options,
                                 struct err *err);
void spec_run_destroy(struct spec_run *run);
/* Runs a file, prints its failures and adds to the totals. A file that does not run counts as one
 * failure. */
void spec_run_file(struct spec_run *run, const char *path, struct spec_totals *totals);
/* Prints executed lines per script. False: below min_percent, or not measured (printed). */
bool spec_run_coverage(struct spec_run *run, double min_percent);
