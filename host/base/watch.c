#include "watch.h"

#include <errno.h>
#include <fts.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hash.h"
#include "subprocess.h"

#define LOOK_INTERVAL_NS (WATCH_INTERVAL_MS * 1000000L)
#define QUIET_NS 200000000
#define CUT_SHORT 130

/* The next of the signals; 0: none within the time. */
static int watch_wait_signal(const sigset_t *signals, long nanoseconds) {
    const struct timespec timeout = {0, nanoseconds};
    int number = sigtimedwait(signals, NULL, &timeout);
    return number > 0 ? number : 0;
}

/* ---- files --------------------------------------------------------------------------------- */

static int watch_by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* A temporary file of an editor. */
static bool watch_is_draft(const FTSENT *entry) {
    return entry->fts_level > FTS_ROOTLEVEL &&
           (entry->fts_name[0] == '.' || entry->fts_name[entry->fts_namelen - 1] == '~');
}

static uint64_t watch_mix(uint64_t state, const void *bytes, size_t len) {
    return hash64_seeded((struct slice){bytes, len}, state);
}

static uint64_t watch_mix_file(uint64_t state, const FTSENT *entry) {
    const struct stat *file = entry->fts_statp;
    int64_t facts[] = {(int64_t)file->st_ino, file->st_size, file->st_mtim.tv_sec,
                       file->st_mtim.tv_nsec};
    return watch_mix(watch_mix(state, entry->fts_path, entry->fts_pathlen), facts, sizeof facts);
}

/* Hash of path, inode, size and mtime of every file below the paths. */
static uint64_t watch_state_of(const char *const *paths) {
    uint64_t state = 0;
    FTS *tree = fts_open((char *const *)paths, FTS_LOGICAL | FTS_NOCHDIR, watch_by_name);
    for (FTSENT *entry; tree && (entry = fts_read(tree));) {
        if (entry->fts_info == FTS_F && !watch_is_draft(entry)) {
            state = watch_mix_file(state, entry);
        }
    }
    if (tree) {
        fts_close(tree);
    }
    return state;
}

/* ---- the work ------------------------------------------------------------------------------ */

/* The exit status in a shell's form. */
static int watch_status_of(int wait_status) {
    if (WIFSIGNALED(wait_status)) {
        fprintf(stderr, "ended by signal %d (%s)\n", WTERMSIG(wait_status),
                strsignal(WTERMSIG(wait_status)));
        return 128 + WTERMSIG(wait_status);
    }
    return WEXITSTATUS(wait_status);
}

static bool watch_is_end(int number) {
    return number == SIGINT || number == SIGTERM;
}

/* Waits for the child; SIGINT and SIGTERM kill it. */
static int watch_await(pid_t child, const sigset_t *signals) {
    int status = 0;
    for (;;) {
        int number = sigwaitinfo(signals, NULL);
        if (number == SIGCHLD && waitpid(child, &status, WNOHANG) == child) {
            return watch_status_of(status);
        }
        if (watch_is_end(number)) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return CUT_SHORT;
        }
    }
}

static int watch_do_once(int (*work)(void *context), void *context, const sigset_t *signals) {
    fflush(stdout);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) {
        fprintf(stderr, "cannot start a process: %s\n", strerror(errno));
        return 1;
    }
    if (child == 0) {
        sigprocmask(SIG_UNBLOCK, signals, NULL);
        subprocess_end_with(parent);
        exit(work(context));
    }
    return watch_await(child, signals);
}

/* Waits until the files differ from `state` and then stay the same for QUIET_NS: an editor writes a
 * file in steps, a checkout many files. False: a signal ends the watch. */
static bool watch_await_change(const char *const *paths, uint64_t state, const sigset_t *signals) {
    while (watch_state_of(paths) == state) {
        if (watch_is_end(watch_wait_signal(signals, LOOK_INTERVAL_NS))) {
            return false;
        }
    }
    do {
        state = watch_state_of(paths);
        if (watch_is_end(watch_wait_signal(signals, QUIET_NS))) {
            return false;
        }
    } while (watch_state_of(paths) != state);
    return true;
}

static void watch_print_separator(int count) {
    char text[sizeof "00:00:00"];
    time_t now = time(NULL);
    struct tm local;
    strftime(text, sizeof text, "%H:%M:%S", localtime_r(&now, &local));
    printf("\n---- run %d, %s ----\n", count, text);
}

int watch_run(const char *const *paths, int (*work)(void *context), void *context) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    for (int count = 1;; count++) {
        if (count > 1) {
            watch_print_separator(count);
        }
        uint64_t state = watch_state_of(paths); /* before the work: a change during it counts */
        int status = watch_do_once(work, context, &signals);
        if (status == CUT_SHORT || !watch_await_change(paths, state, &signals)) {
            return status;
        }
    }
}
