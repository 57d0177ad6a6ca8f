/* reload_private: what the files of reload/ share. reload.c makes the change; from_disk.c and
 * rollback.c find the generation to change to; generation_watcher.c judges it afterwards. */
#pragma once

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
    /* Of the files that reload_if_changed tried last, and when it looks again after an attempt that
     * may succeed later; owned by its one thread. */
    char tried_hash[SCRIPT_HASH_LEN + 1];
    int64_t retry_us;
    /* Guards all that follows. Never held during I/O, a script's run or a wait for a worker. */
    pthread_mutex_t lock;
    struct history history;
    struct in_progress in_progress;
    struct bake bake;
    uint64_t last_number;
    struct metric_cell *info; /* 1 under the running scripts' hash; NULL: not yet */
    struct metric_cell *number, *done, *failed, *rolled_back;
    pthread_t watcher; /* generation_watcher.c */
    bool watched;
    bool stopping;
    pthread_cond_t changed; /* to the watcher: the generation changed, or it has to end */
    int64_t store_us;       /* when to store the running generation; 0: stored */
};

/* ---- reload.c: without the lock, unless stated ------------------------------------------------
 */

/* A reload or rollback under way, owned by its thread. */
struct change {
    struct reload *reload;
    const char *verb;
    int64_t started_us;
    struct script_generation *running; /* at the beginning; a reference */
    uint64_t last_number;              /* likewise */
};

struct change reload_begin(struct reload *reload, const char *verb);
/* The same under the lock. */
struct change reload_begin_locked(struct reload *reload, const char *verb);
void reload_end(struct change *change);
/* Replaces the running generation; the caller keeps its reference. Takes `candidate` over in any
 * case. False: err says that another change finished since this one began. */
bool reload_swap(const struct change *change, struct script_generation *generation,
                 struct candidate *candidate, struct err *err);
/* Waits for the workers to switch, for two seconds at most; appends the end of the result, and
 * logs. */
void reload_finish(const struct change *change, const struct script_generation *generation,
                   struct buffer *json);
/* Appends the result of a refused change, and logs. Always false. `report`: of a shadow run, or
 * NULL. */
bool reload_refuse(const struct change *change, const struct err *err, const struct buffer *report,
                   struct buffer *json);

/* ---- from_disk.c ------------------------------------------------------------------------------
 */

/* The scripts on the disk under the next number, with the settings of `fresh` that a reload takes.
 */
struct script_generation *from_disk_load(const struct change *change, const struct config *fresh,
                                         struct err *err);

/* ---- rollback.c ---------------------------------------------------------------------------- */

/* As reload_roll_back, for a change that has begun; ends it. */
bool rollback_by(struct change *change, struct slice which, struct buffer *json);

/* ---- generation_watcher.c -------------------------------------------------------------------- */

void generation_watcher_start(struct reload *reload);
void generation_watcher_stop(struct reload *reload);
/* Under the lock: the running generation changed. */
void generation_watcher_note(struct reload *reload);
