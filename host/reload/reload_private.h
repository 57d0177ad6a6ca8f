/* What the files of reload/ share: reload.c makes the change, disk.c and rollback.c find what to
 * change to, watcher.c looks at it afterwards. */
#ifndef AGG_HOST_RELOAD_RELOAD_PRIVATE_H
#define AGG_HOST_RELOAD_RELOAD_PRIVATE_H

#include <pthread.h>

#include "base/metrics.h"
#include "check/lint.h"
#include "candidate.h"
#include "history.h"
#include "reload.h"
#include "bake.h"
#include "in_progress.h"

#define BY_RELOAD "reload"

struct reload {
    struct reload_options options;
    pthread_mutex_t lint_lock;
    struct lint *lint; /* under that lock */
    /* Of the files when reload_if_changed last saw them; that caller's, who is one. */
    char tried_hash[SCRIPT_HASH_LEN + 1];
    /* Guards all that follows. Held for a moment: neither while a file is read, a script runs or
     * the database is asked, nor while a worker is waited for. */
    pthread_mutex_t lock;
    struct history history;
    struct in_progress under_way;
    struct bake bake;
    uint64_t last_number;
    struct metric_cell *info; /* 1 under the running scripts' hash; NULL: not yet */
    struct metric_cell *number, *done, *failed, *rolled_back;
    pthread_t watcher; /* stores what runs, and looks at the trial while one is on */
    bool watched;
    bool stopping;
    pthread_cond_t changed; /* to the watcher: other scripts run, or it shall end */
    int64_t store_us;       /* when the running generation is to be stored; 0: it is */
};

/* ---- reload.c: not under the lock, where not said otherwise -------------------------------- */

/* A change from its begin to its answer; of the thread that makes it. */
struct change {
    struct reload *reload;
    const char *verb;
    int64_t started_us;
    struct script_generation *running; /* when it began; a reference */
    uint64_t last_number;              /* likewise */
};

struct change reload_begin(struct reload *reload, const char *verb);
/* Likewise, under the lock. */
struct change reload_begin_locked(struct reload *reload, const char *verb);
void reload_end(struct change *change);
/* Replaces what runs by the generation, which the caller keeps. Takes `built` over in any case.
 * False, with err, where other scripts have come to run since the change began. */
bool reload_swap(const struct change *change, struct script_generation *generation,
                 struct candidate *candidate, struct err *err);
/* Waits a moment for the workers to take what was swapped in; appends the end of the answer, and
 * says in the log what was done. */
void reload_finish(const struct change *change, const struct script_generation *generation,
                   struct buffer *json);
/* Appends the answer of what was not done, and says so in the log. Always false. `report`: of a
 * canary, or NULL. */
bool reload_refuse(const struct change *change, const struct err *err, const struct buffer *report,
                   struct buffer *json);

/* ---- rollback.c ---------------------------------------------------------------------------- */

/* As reload_roll_back, from what ran when the change began; ends the change. */
bool rollback_by(struct change *change, struct slice which, struct buffer *json);

/* ---- watcher.c ----------------------------------------------------------------------------- */

void watcher_start(struct reload *reload);
void watcher_stop(struct reload *reload);
/* Under the lock: other scripts run. */
void watcher_note(struct reload *reload);

#endif
