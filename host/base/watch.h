/* watch: for authors, who want something done again whenever they have saved a file. Files are
 * looked at three times a second, while signals are waited for. */
#ifndef AGG_HOST_BASE_WATCH_H
#define AGG_HOST_BASE_WATCH_H

#define WATCH_INTERVAL_MS 300 /* between two looks at the files */

/* Does the work in a child process, so that each time it begins from nothing, and again whenever a
 * file below the NULL-ended paths has changed and all have been left alone for a fifth of a second,
 * until SIGINT or SIGTERM. Returns the exit status of the last time; 130 where that was cut
 * short. */
int watch_run(const char *const *paths, int (*work)(void *context), void *context);

#endif
