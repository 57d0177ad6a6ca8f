/* reactor: a thread that works off the marks of reactions, in rounds (round.h). Several processes
 * may do so on one database. Without a reaction in the scripts it asks nothing.
 *
 * While marks come fast it rests between rounds, so that marks of one key meet, and ingestion keeps
 * the database for itself. */
#ifndef AGG_HOST_REACTION_REACTOR_H
#define AGG_HOST_REACTION_REACTOR_H

#include "base/buffer.h"
#include "script/script.h"

struct reactor;

struct reactor_options {
    struct script_generation *generation;
    void (*stored)(void *context); /* messages were committed; on the reactor's thread; or NULL */
    void *context;
};

/* No database need be there. NULL: err says why. */
struct reactor *reactor_start(const struct reactor_options *options, struct err *err);
/* Ends the round under way, joins the thread, frees. NULL is allowed. */
void reactor_stop(struct reactor *reactor);

/* A commit of this process has marked keys: they are looked at now instead of within a second. Any
 * thread, takes no time; NULL is allowed. */
void reactor_wake(struct reactor *reactor);
/* Goes on by these scripts from the next round on, and tries at once what failed by others. Takes a
 * reference. Any thread. */
void reactor_replace_scripts(struct reactor *reactor, struct script_generation *generation);
/* Appends `"reactions":{…}`: how many marks wait, since when, what the last failure was. */
void reactor_report(struct reactor *reactor, struct buffer *json);

#endif
