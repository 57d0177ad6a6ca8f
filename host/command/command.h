/* command: what `aggregator COMMAND` does. Each returns the process's exit status: 0 done, 1 failed
 * (said on standard error), 2 wrong usage, unless its table (commands_of_*.c) says otherwise. */
#pragma once

#include "config/config.h"

#define COMMAND_TEXTS_MAX 64

/* The values of an option that may be repeated. */
struct command_texts {
    const char *items[COMMAND_TEXTS_MAX];
    size_t count;
};

/* The checked command line (arguments.h). A field is set only if the command takes its option
 * (commands_of_*.c). Texts are NULL if not given, and never empty. */
struct command {
    const struct config *config; /* NULL: it cannot be read, and the command asks the program, or
                                    prints the problem */
    const char *config_problem;  /* why it cannot be read; of commands that take it */
    const char *config_path;
    const char *socket; /* of the running program: --socket, or admin.socket */
    char **argv;        /* the whole command line as it was given */
    const char *log_format, *log_level;
    const char *format; /* of check */
    char **words;       /* the arguments after the command's name; none is empty */
    int word_count;
    bool help, version;
    const char *reaction, *row, *body, *stubs; /* of try */
    const char *topic, *key, *state, *reason, *table, *path, *method, *id, *contains, *record;
    struct command_texts topics, keys, headers;
    int64_t partition;    /* -1: all */
    int64_t from_offset;  /* -1: not given */
    int64_t from_time_us; /* Unix; -1: not given */
    int64_t since_us;     /* Unix, or one of EXPLAIN_SINCE_… */
    int64_t limit;        /* of what is printed; 0 (tap): none */
    int64_t events;       /* 0: not given */
    int64_t accept;       /* percent; -1: not given */
    double coverage_min;  /* percent; -1: not given */
    bool all;
    bool yes; /* do not ask */
    bool from_beginning;
    bool json;
    bool keep_shadow;
    bool real;
    bool coverage;
    bool watch;
    bool once;
    bool shadow_run;
    bool drop;
    bool interpreted;
    bool running;
    bool changed;
    bool describe;
    bool redo;
};

/* Runs the service until SIGTERM or SIGINT; a second signal ends it at once. */
int command_run(const struct command *command);
/* Checks configuration, scripts, and the view against the schema. */
int command_check(const struct command *command);
/* Applies the migrations that are missing. */
int command_migrate(const struct command *command);
/* rejected list|show|retry|drop: the events that could not be applied. */
int command_rejected_list(const struct command *command);
int command_rejected_show(const struct command *command);
int command_rejected_retry(const struct command *command);
int command_rejected_drop(const struct command *command);
/* outbox list|show|retry|drop: published and pending messages. */
int command_outbox_list(const struct command *command);
int command_outbox_show(const struct command *command);
int command_outbox_retry(const struct command *command);
int command_outbox_drop(const struct command *command);
/* retention: shows what has left the view and what leaves next. */
int command_retention(const struct command *command);
/* replay: rewinds topics to a time or an offset while the service runs. */
int command_replay(const struct command *command);
/* status, top, resume: call the running program over its admin socket. */
int command_status(const struct command *command);
int command_top(const struct command *command);
/* health: the same, for a probe of a container: 0 healthy, 1 not, or no program answers. */
int command_health(const struct command *command);
int command_resume(const struct command *command);
/* reload, rollback [N]: the same; 1 if it was refused. */
int command_reload(const struct command *command);
int command_rollback(const struct command *command);
/* config: prints the settings, and where each comes from. */
int command_config(const struct command *command);
/* Has the installed program take over from the running one. */
int command_upgrade(const struct command *command);
/* diff: compares the scripts on the disk with the running ones on the newest events. 0 equal, 1
 * different, 2 failed or wrong usage. */
int command_diff(const struct command *command);

/* Builds the view again beside the live one and compares: 0 equal, 1 different or failed. */
int command_verify(const struct command *command);
/* As verify, and then repairs the live view. */
int command_rebuild(const struct command *command);
/* Prints which events made the rows of an id, and which lost against them. */
int command_explain(const struct command *command);

/* Prints the service's events, tables and queries for editors. */
int command_types(const struct command *command);
/* Prints the OpenAPI document of the scripts on the disk. */
int command_openapi(const struct command *command);
/* Runs the handlers on the disk on the events of a file, and prints the results. */
int command_try(const struct command *command);
/* Prints new events of Kafka and the results of their handlers; moves no offset. */
int command_tap(const struct command *command);
/* Runs the specs of the scripts in the files and folders that the words name. */
int command_test(const struct command *command);
/* new handler|route|reaction NAME: writes a script and its spec, for an author to extend. */
int command_new_service(const struct command *command);
int command_new_handler(const struct command *command);
int command_new_route(const struct command *command);
int command_new_reaction(const struct command *command);
/* new migration NAME: writes the DDL that the database lacks. */
int command_new_migration(const struct command *command);
/* repl: a console with the modules of scripts. */
int command_repl(const struct command *command);

/* help [COMMAND]: prints help.h's texts. */
int command_help(const struct command *command);
/* version: prints the program's version. */
int command_version(const struct command *command);

/* Whether the scripts are below the working folder, where specs and fixtures are looked for and
 * written: else they would be another service's. */
bool command_check_folder(const struct command *command, struct err *err);

/* Asks on the terminal, unless --yes. False: no, or there is no terminal, which is printed. */
bool command_confirm(const struct command *command, const char *question);
