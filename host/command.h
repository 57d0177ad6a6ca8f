/* command: what `aggregator VERB` does. Each returns the process's exit status: 0 done, 1 failed
 * (said on standard error), 2 wrong usage. */
#ifndef AGG_HOST_COMMAND_H
#define AGG_HOST_COMMAND_H

#include "config.h"

/* What stood on the command line; every option of every verb. Texts are NULL where not given. */
struct command {
    const struct config *config;
    char **words; /* behind the verb */
    int word_count;
    const char *coverage_min;
    bool real;
    bool coverage;
};

/* Runs the service until SIGTERM or SIGINT; a second signal ends it at once. */
int command_run(const struct command *command);
/* Checks scripts and, if the database answers, the view against its schema; touches no queue. */
int command_check(const struct command *command);
/* Applies the migrations that are missing. */
int command_migrate(const struct command *command);
/* Runs the specs of the scripts in the files and folders that the words name. */
int command_test(const struct command *command);

#endif
