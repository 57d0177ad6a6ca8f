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

/* Verbs with arguments of their own; argv[0] is the verb. */

/* Builds the view anew beside the live one and compares: 0 equal, 1 different or failed. */
int command_verify(const struct config *config, int argc, char **argv);
/* As verify, and then mends the live view. */
int command_rebuild(const struct config *config, int argc, char **argv);
/* Says which events made the rows of an id, and which lost against them. */
int command_explain(const struct config *config, int argc, char **argv);

#endif
