/* reactor: a thread that runs rounds (round.h) of the reactions that have due marks. Several
 * processes can do so on one database. Without a reaction in the scripts it sends no query.
 *
 * Under many marks it pauses between rounds, so that one round handles several marks of a key.
 * Behind a backlog it pauses longer, so that ingestion has the database. */
#pragma once

#include "base/buffer.h"
#include "script/script.h"

struct reactor;

struct reactor_options {
    struct script_generation *generation;
    void (*stored)(void *context); /* after messages were committed; reactor thread; or NULL */
    void *context;
};

/* Needs no database. It handles no mark before reactor_release. NULL: err is set. */
struct reactor *reactor_start(const struct reactor_options *options, struct err *err);
/* Finishes the round under way, joins the thread, frees. NULL is allowed. */
void reactor_stop(struct reactor *reactor);

/* A commit of this process has marked keys: starts a round now instead of within a second.
 * behind: ingestion has a backlog; the reactor then leaves it the database most of the time. Any
 * thread, does not block; NULL is allowed. */
void reactor_wake(struct reactor *reactor, bool behind);
/* Any thread; NULL is allowed. */
void reactor_release(struct reactor *reactor);
/* Switches to this generation at the next round, and retries failed keys at once. Takes a
 * reference. Any thread; NULL is allowed. */
void reactor_replace_scripts(struct reactor *reactor, struct script_generation *generation);
/* Appends `"reactions":{…}`: number and age of the marks, the last failure; null for NULL. */
void reactor_report(struct reactor *reactor, struct buffer *json);
