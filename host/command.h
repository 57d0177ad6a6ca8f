/* command: what `aggregator VERB` does. Each takes the loaded configuration and returns the
 * process's exit status: 0 done, 1 failed (said on standard error), 2 wrong usage. */
#ifndef AGG_HOST_COMMAND_H
#define AGG_HOST_COMMAND_H

#include "config.h"

/* Runs the service until SIGTERM or SIGINT; a second signal ends it at once. */
int command_run(const struct config *config);
/* Checks scripts and, if the database answers, the view against its schema; touches no queue. */
int command_check(const struct config *config);
/* Applies the migrations that are missing. */
int command_migrate(const struct config *config);
/* Runs the specs of the scripts; argv[0] is the verb. */
int command_test(const struct config *config, int argc, char **argv);

#endif
