/* canary: the newest events of the log through the scripts that run and through those that might,
 * side by side, into two schemas of their own; what they make of them, and what their reactions
 * would publish of that, is compared. Nothing of the live view, its offsets, the outbox, the caches
 * and the metrics is touched. */
#ifndef AGG_HOST_CANARY_CANARY_H
#define AGG_HOST_CANARY_CANARY_H

#include "base/buffer.h"
#include "script/script.h"

struct canary_request {
    int64_t events;     /* of all topics of the new scripts, at most; 0: as their settings say */
    int accept_percent; /* -1: as their settings say */
};

struct canary_options {
    struct script_generation *running, *candidate; /* borrowed; each runs with its own settings */
    struct canary_request request;
    int stop_fd; /* readable once the canary shall end; -1: never */
};

struct canary_result {
    int64_t events; /* that the new scripts were given */
    int64_t rows;   /* that were compared: of either, each key once */
    int64_t differing_rows;
    int64_t newly_rejected; /* events that the new scripts alone reject */
    int64_t messages;       /* that either would publish, each identity once */
    int64_t differing_messages;
    int64_t newly_failing; /* keys for which a reaction of the new scripts alone fails */
    bool equal;            /* rows, rejections, messages, failures and declarations */
    struct buffer json;    /* all of it, an object that begins with "equal" */
};

/* Blocks the calling thread, for minutes at most. One at a time on a database, whoever asks: else
 * ERR_UNAVAILABLE. canary_free follows in either case. */
bool canary_run(const struct canary_options *options, struct canary_result *result,
                struct err *err);
void canary_free(struct canary_result *result);

/* False where a larger share of the rows or messages differs, or of the events is newly rejected,
 * than is accepted: err says how many. */
bool canary_accepts(const struct canary_options *options, const struct canary_result *result,
                    struct err *err);

#endif
