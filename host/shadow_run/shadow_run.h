/* shadow_run: gives the newest events of the log to the running generation and to a candidate, each
 * in a schema of its own, and compares rows, rejections and what reactions would publish. The live
 * view, its offsets, the outbox, the caches and the metrics stay untouched. */
#pragma once

#include "base/buffer.h"
#include "script/script.h"

struct shadow_run_request {
    int64_t events;     /* the most that is read of all topics; 0: scripts.canary_events */
    int accept_percent; /* -1: scripts.canary_accept_percent */
};

struct shadow_run_options {
    struct script_generation *running, *candidate; /* borrowed; each runs with its own settings */
    struct shadow_run_request request;
    int stop_fd; /* readable when the run has to end; -1: never */
};

struct shadow_run_result {
    int64_t events; /* that the candidate got */
    int64_t rows;   /* that were compared; each key once */
    int64_t differing_rows;
    int64_t newly_rejected;     /* events that only the candidate rejects */
    int64_t no_longer_rejected; /* events that only the running scripts reject */
    int64_t messages;           /* that either side would publish; each identity once */
    int64_t differing_messages;
    int64_t newly_failing; /* keys for which only a reaction of the candidate fails */
    bool equal;            /* rows, rejections, messages, failures and declarations */
    struct buffer json;    /* the whole result: an object that begins with "equal" */
};

/* Blocks the calling thread, for minutes at most. A database allows one shadow run at a time, of
 * any process: a second one fails with ERR_UNAVAILABLE. shadow_run_free follows in either case. */
bool shadow_run(const struct shadow_run_options *options, struct shadow_run_result *result,
                struct err *err);
void shadow_run_free(struct shadow_run_result *result);

/* False: a larger share of the rows or messages differs, or of the events is newly rejected, than
 * is accepted; err has the numbers. */
bool shadow_run_accepts(const struct shadow_run_options *options,
                        const struct shadow_run_result *result, struct err *err);
