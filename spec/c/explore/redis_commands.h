/* redis_commands: the commands and the scripts of the model of Redis. Private to it. */
#pragma once

#include "redis_memory.h"
#include "wire.h"

#define REDIS_FULL "OOM command not allowed when used memory > 'maxmemory'."

extern struct versions redis_speaks_of; /* the versions of which the current command tells */

bool text_is(struct slice text, const char *word);
double text_number(struct slice text);
/* Queues a reply or a message for the client, unless its connection is lost. */
void connection_send(struct connection *connection, const struct value *value,
                     const struct versions *versions);
/* Ends the program if the model lacks the command. */
void redis_run_command(const struct slice *args, int count, struct value *reply);
/* An EVAL. */
void redis_run_script(const struct command *command, struct value *reply);
