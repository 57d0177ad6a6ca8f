/* watch: for authors, who want something done again whenever they have saved a file. Files are
 * looked at three times a second, while signals are waited for. */
#ifndef AGG_HOST_BASE_WATCH_H
#define AGG_HOST_BASE_WATCH_H

#include <signal.h>

/* The next of these signals, which are blocked; 0: none came until files are worth another look. */
int watch_signal(const sigset_t *signals);

/* Does the work in a child process, so that each time it begins from nothing, and again whenever a
 * file below the NULL-ended paths has changed and all have been left alone for a fifth of a second,
 * until SIGINT or SIGTERM. Returns the exit status of the last time; 130 where that was cut
 * short. */
int watch_run(const char *const *paths, int (*work)(void *context), void *context);

#endif
