/* watch: repeats work whenever a file changes; polls the files three times a second. */
#pragma once

#define WATCH_INTERVAL_MS 300

/* Runs the work in a new child process, and again after each change of a file below the
 * NULL-terminated paths followed by 0.2 s without one, until SIGINT or SIGTERM. Returns the exit
 * status of the last run; 130: it was interrupted. */
int watch_run(const char *const *paths, int (*work)(void *context), void *context);
