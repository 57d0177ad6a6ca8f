/* rebuild: the view built anew from Kafka's log beside the live one, compared, and the live one
 * mended, while live consumption goes on.
 *
 * The shadow is read up to where the live view stands, which moves. Near the end all rows are
 * compared, which may take long; then, under locks that make live commits wait for a moment, the
 * rest is read up to exactly the live offsets and only rows that differed or were written since
 * are compared again. Nothing falls between: rows and offsets are those of one moment. */
#ifndef AGG_HOST_REBUILD_REBUILD_H
#define AGG_HOST_REBUILD_REBUILD_H

#include <stdio.h>

#include "replay.h"
#include "compare_sql.h"
#include "progress.h"
#include "shadow.h"

#define REBUILD_SCHEMA "aggregator_rebuild"

struct rebuild_options {
    const struct config *config;
    int64_t shown_rows; /* of each table and kind of finding that are printed one by one */
    bool keep_shadow;   /* leave the schema behind, to look at */
    FILE *out;          /* what was found, for people */
};

struct rebuild {
    struct rebuild_options options;
    struct script_generation *generation;
    const struct view *view;
    struct sql_session session;
    struct shadow shadow;
    struct log_reader reader;
    struct replay build;
    struct progress progress;
    struct compare_scope scope;
    char since_xid[16]; /* what was written since may differ otherwise than the candidates say */
    int64_t different;  /* rows, at the last comparison */
    int64_t outside;    /* rows that rest on answers of outside systems, at the first one */
    uint64_t *tags;     /* hash64 of what the changed rows name, for the caches */
    size_t tag_count;
};

/* Builds the shadow up to the live offsets and compares all rows for the first time. False:
 * rebuild_close is still to be called. */
bool rebuild_open(struct rebuild *rebuild, const struct rebuild_options *options, struct err *err);
/* Drops the shadow, unless it shall be kept. */
void rebuild_close(struct rebuild *rebuild);

/* Compares at one moment, prints what differs unless `quiet`, and mends the live view in the same
 * transaction if `apply`. May be called again. */
bool rebuild_compare(struct rebuild *rebuild, bool apply, bool quiet, struct err *err);

/* ---- catch_up.c ---------------------------------------------------------------------------- */

/* Reads where the live view stands into the reader's bounds. */
bool catch_up_bounds(struct rebuild *rebuild, struct err *err);
/* Builds until the shadow is about a second behind the live view. */
bool catch_up(struct rebuild *rebuild, struct err *err);

/* ---- report.c ------------------------------------------------------------------------------ */

/* Prints what the log has lost and the rows that stay because of it. */
bool report_lost(struct rebuild *rebuild, struct err *err);
/* Counts the differences of the table, into rebuild->different, and prints them unless quiet. */
bool report_differences(struct rebuild *rebuild, const struct view_table *table, bool quiet,
                        struct err *err);
/* Prints which events asked an outside system, and the rows that stay because of it. */
bool report_outside(struct rebuild *rebuild, struct err *err);
bool report_rejected(struct rebuild *rebuild, struct err *err);

/* ---- announce.c ---------------------------------------------------------------------------- */

/* Notes what the table's rows that are to change name. */
bool announce_collect(struct rebuild *rebuild, const struct view_table *table, struct err *err);
/* Marks the keys of the table's rows that are to change, for the reactions that follow them. */
bool mark_changes(struct rebuild *rebuild, const struct view_table *table, struct err *err);
/* Tells the caches through Redis, after the commit. */
bool announce_changes(struct rebuild *rebuild, struct err *err);

#endif
