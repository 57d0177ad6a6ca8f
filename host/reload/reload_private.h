/* What the files of reload/ share: reload.c makes the change, disk.c and rollback.c find what to
 * change to, watcher.c looks at it afterwards. */
#ifndef AGG_HOST_RELOAD_RELOAD_PRIVATE_H
#define AGG_HOST_RELOAD_RELOAD_PRIVATE_H

#include <pthread.h>

#include "../base/metrics.h"
#include "../script/lint.h"
#include "built.h"
#include "kept.h"
#include "reload.h"
#include "trial.h"

#define BY_RELOAD "reload"

struct reload {
    struct reload_options options;
    pthread_mutex_t lock; /* one at a time; guards all that follows */
    struct kept kept;
    struct lint *lint;
    struct trial trial;
    uint64_t last_number;
    char tried_hash[SCRIPT_HASH_LEN + 1]; /* of the files when reload_if_changed last saw them */
    struct metric_cell *info;             /* 1 under the running scripts' hash; NULL: not yet */
    struct metric_cell *number, *done, *failed, *rolled_back;
    pthread_t watcher; /* stores what runs, and looks at the trial while one is on */
    bool watched;
    bool stopping;
    pthread_cond_t changed; /* to the watcher: other scripts run, or it shall end */
    int64_t store_us;       /* when the running generation is to be stored; 0: it is */
};

/* ---- reload.c: all under the lock ---------------------------------------------------------- */

/* Appends the answer of what was not done, and says so in the log. Always false. `report`: of a
 * canary, or NULL. */
bool reload_refuse(struct reload *reload, const char *verb, const struct err *err,
                   const struct buffer *report, struct buffer *json);
/* Replaces what runs by the generation, which the caller keeps; `json` has everything but the end
 * of the answer. */
void reload_finish(struct reload *reload, const char *verb, struct script_generation *generation,
                   struct built *built, int64_t started_us, struct buffer *json);

/* ---- rollback.c ---------------------------------------------------------------------------- */

/* Under the lock. As reload_roll_back; `verb` is for the answer and the log. */
bool rollback_by(struct reload *reload, const char *verb, struct slice which, struct buffer *json);

/* ---- watcher.c ----------------------------------------------------------------------------- */

void watcher_start(struct reload *reload);
void watcher_stop(struct reload *reload);
/* Under the lock: other scripts run. */
void watcher_note(struct reload *reload);

#endif
