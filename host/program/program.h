/* program: starts the parts of the service in order and stops them in reverse. */
#pragma once

#include "config/config.h"

struct program;

struct program_options {
    const struct config *config;
    const char *config_path;
    char *const *argv; /* the whole command line, for an upgrade */
};

/* Starts everything. A process that `aggregator upgrade` started first waits until it may take over
 * the clients and partitions of its predecessor. NULL, with nothing left running: err says why; err
 * is empty if a signal asked the process to stop. What the options point to must outlive the
 * program. */
struct program *program_start(const struct program_options *options, struct err *err);
/* Stops taking work, ends what is under way, frees. False: a call of a script or a command is
 * stuck. Then ingestion has stopped, nothing else is freed, and the process must end by _exit. */
bool program_stop(struct program *program);
/* Longer than program_stop takes where nothing is stuck. drain.c. */
int program_stop_limit_s(const struct config *config);
/* Loads scripts and settings from disk and switches to them if they are good; logs the result. */
void program_reload(struct program *program);
/* The same, if scripts or queries have changed since the last call. */
void program_reload_if_changed(struct program *program);
/* Logs that the program runs, with its ports, and tells the service manager. */
void program_announce(const struct program *program);
/* Readable once another process has taken over: this one has to stop. */
int program_upgrade_fd(const struct program *program);
