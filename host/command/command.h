/* command: what `aggregator VERB` does. Each returns the process's exit status: 0 done, 1 failed
 * (said on standard error), 2 wrong usage. */
#ifndef AGG_HOST_COMMAND_COMMAND_H
#define AGG_HOST_COMMAND_COMMAND_H

#include "../config/config.h"

#define COMMAND_TOPICS_MAX 64

/* What stood on the command line; every option of every verb. Texts are NULL where not given. */
struct command {
    const struct config *config;
    const char *config_path;
    char **words; /* behind the verb */
    int word_count;
    const char *topic; /* the last of topics */
    const char *topics[COMMAND_TOPICS_MAX];
    size_t topic_count;
    const char *reason;
    const char *from_time;
    const char *from_offset;
    const char *partition;
    const char *limit;
    bool all;
    bool yes; /* do not ask */
    const char *table;
    const char *path;
    const char *since;
    const char *coverage_min;
    const char *batch;
    const char *contains;
    bool from_beginning;
    bool json;
    bool keep_shadow;
    bool real;
    bool coverage;
    bool watch;
    bool canary;
    bool drop;
    const char *events;
    const char *accept;
};

/* Runs the service until SIGTERM or SIGINT; a second signal ends it at once. */
int command_run(const struct command *command);
/* Checks scripts and, if the database answers, the view against its schema; touches no queue. */
int command_check(const struct command *command);
/* Applies the migrations that are missing. */
int command_migrate(const struct command *command);
/* rejected list|show|retry|drop: the events that were set aside. */
int command_rejected(const struct command *command);
/* replay: rewinds topics to a time or an offset while the service runs. */
int command_replay(const struct command *command);
/* status, resume: ask the running program over its admin socket. */
int command_status(const struct command *command);
int command_resume(const struct command *command);
/* reload, rollback [N]: likewise; 1 where nothing was changed. */
int command_reload(const struct command *command);
int command_rollback(const struct command *command);
/* diff: what the scripts on disk make of the newest events otherwise than those that run. 0 equal,
 * 1 different, 2 failed or wrong usage. */
int command_diff(const struct command *command);
extern const char command_reload_usage[], command_diff_usage[];

/* Builds the view anew beside the live one and compares: 0 equal, 1 different or failed. */
int command_verify(const struct command *command);
/* As verify, and then mends the live view. */
int command_rebuild(const struct command *command);
/* Says which events made the rows of an id, and which lost against them. */
int command_explain(const struct command *command);
extern const char command_verify_usage[], command_rebuild_usage[], command_explain_usage[];

/* Prints what editors are to know of the service's own events, tables and queries. */
int command_types(const struct command *command);
extern const char command_types_usage[];

/* Prints what the handlers on disk make of the events of a file; touches nothing. */
int command_try(const struct command *command);
extern const char command_try_usage[];

/* Prints events as they come to Kafka and what handlers make of them; moves no offset. */
int command_tap(const struct command *command);
extern const char command_tap_usage[];

/* Runs the specs of the scripts in the files and folders that the words name. */
int command_test(const struct command *command);

/* new handler|route NAME: writes a script and its spec, for an author to go on from. */
int command_new(const struct command *command);
extern const char command_new_usage[];

/* repl: a console with what scripts have. */
int command_repl(const struct command *command);
extern const char command_repl_usage[];

/* Reads a whole number from an option; false and a message on standard error otherwise. */
bool command_number(const char *option, const char *text, int64_t min, int64_t max, int64_t *out);
/* --limit of what is printed of each part, 20 where it is not given; false as command_number. */
bool command_print_limit(const struct command *command, int64_t *limit);
/* Asks on the terminal unless --yes; false: no. Without a terminal the answer is no, and says so.
 */
bool command_confirm(const struct command *command, const char *question);

#endif
