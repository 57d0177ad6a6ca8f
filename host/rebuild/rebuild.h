/* rebuild: builds the view from Kafka's log in a shadow, compares it with the live view, and
 * repairs the live view, while live consumption goes on.
 *
 * The shadow follows the offsets of the live view. Near the end all rows are compared, which may
 * take long. Then, under locks that make live commits wait for a moment, the rest is read up to
 * exactly the live offsets, and the rows that differed or were written since are compared again:
 * rows and offsets of one moment. */
#pragma once

#include <stdio.h>

#include "compare_sql.h"
#include "shadow_fill.h"

#define REBUILD_SCHEMA "aggregator_rebuild"

struct rebuild_options {
    const struct config *config;
    int64_t shown_rows; /* printed for each table and kind of finding */
    bool keep_shadow;   /* leave the schema in the database */
    FILE *out;          /* for the findings */
};

struct rebuild {
    struct rebuild_options options;
    struct script_generation *generation;
    const struct view *view;
    struct sql_session session;
    struct shadow shadow;
    struct log_reader reader;
    struct shadow_fill fill;
    struct progress progress;
    struct compare_scope scope;
    char since_xid[16];       /* rows written since are compared again */
    int64_t different;        /* rows, at the last comparison */
    int64_t outside;          /* rows that depend on events that cannot be repeated */
    uint64_t *surrogate_keys; /* hash64 of the texts in changed rows, for the caches */
    size_t surrogate_key_count;
};

/* Fills the shadow up to the live offsets and compares all rows for the first time. False:
 * rebuild_close is still to be called. */
bool rebuild_open(struct rebuild *rebuild, const struct rebuild_options *options, struct err *err);
/* Drops the shadow, unless keep_shadow. */
void rebuild_close(struct rebuild *rebuild);

/* Compares at one moment, prints the differences unless `quiet`, and if `apply` repairs the live
 * view in the same transaction. May be called again. */
bool rebuild_compare(struct rebuild *rebuild, bool apply, bool quiet, struct err *err);

/* ---- catch_up.c ---------------------------------------------------------------------------- */

/* Sets the reader's bounds to the offsets of the live view. */
bool catch_up_bounds(struct rebuild *rebuild, struct err *err);
/* Fills until the shadow is about a second behind the live view. */
bool catch_up(struct rebuild *rebuild, struct err *err);

/* ---- report.c ------------------------------------------------------------------------------ */

/* Prints what the log lacks and the rows that are kept because of it. */
bool report_lost(struct rebuild *rebuild, struct err *err);
/* Prints from which time on the view is compared with the log, by its retention. */
void report_expired(const struct rebuild *rebuild);
/* Prints which events asked other systems and the rows that are kept because of it. */
bool report_outside(struct rebuild *rebuild, struct err *err);
bool report_rejected(struct rebuild *rebuild, struct err *err);
/* Adds the differences of the table to rebuild->different, and prints them unless quiet. */
bool report_differences(struct rebuild *rebuild, const struct view_table *table, bool quiet,
                        struct err *err);

/* ---- changed_rows.c ------------------------------------------------------------------------ */

/* Notes the surrogate keys of the rows of the table that will change. */
bool changed_rows_collect(struct rebuild *rebuild, const struct view_table *table, struct err *err);
/* Marks the keys of these rows for the reactions that follow the table. */
bool changed_rows_mark(struct rebuild *rebuild, const struct view_table *table, struct err *err);
/* After the commit: announces the surrogate keys to the caches, through Redis. */
bool changed_rows_announce(struct rebuild *rebuild, struct err *err);
