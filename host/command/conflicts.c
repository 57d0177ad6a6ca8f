#include "conflicts.h"

/* Of IDs, options that select and --all exactly one. */
static const char *conflicts_which(const struct command *command, bool by_option, const char *none,
                                   const char *several) {
    int ways = command->all + by_option + (command->word_count > 0);
    return ways == 0 ? none : ways > 1 ? several : NULL;
}

const char *conflicts_selection(const struct command *command) {
    return conflicts_which(command, command->topic || command->reason,
                           "say which events: IDs, --topic, --reason or --all",
                           "say IDs, or --topic and --reason, or --all: not several of these");
}

const char *conflicts_message(const struct command *command) {
    return conflicts_which(command, command->topic || command->key,
                           "say which messages: IDs, --topic, --key or --all",
                           "say IDs, or --topic and --key, or --all: not several of these");
}

const char *conflicts_replay(const struct command *command) {
    return (command->from_time_us < 0) == (command->from_offset < 0)
               ? "say --from-time or --from-offset: one of the two"
               : NULL;
}

const char *conflicts_migrate(const struct command *command) {
    return command->yes && !command->redo ? "--yes needs --redo" : NULL;
}

const char *conflicts_reload(const struct command *command) {
    return !command->shadow_run && (command->events != 0 || command->accept >= 0)
               ? "--events and --accept need --shadow-run"
               : NULL;
}

const char *conflicts_try(const struct command *command) {
    bool of_keys = command->keys.count > 0;
    int modes = !!command->reaction + !!command->path + (command->word_count > 0);
    if ((command->row || of_keys) && !command->reaction) {
        return "--row and --key need --reaction NAME";
    }
    if ((command->method || command->headers.count > 0 || command->body) && !command->path) {
        return "--method, --header and --body need --path PATH";
    }
    if (modes != 1) {
        return modes > 1 ? "a FILE of events, --path PATH or --reaction NAME: one of these"
                         : "say which FILE|- of events, or --path PATH, or --reaction NAME with "
                           "--row FILE|- or --key KEY";
    }
    if (command->reaction && !!command->row == of_keys) {
        return "--reaction NAME needs --row FILE|- or --key KEY: one of the two";
    }
    return command->stubs && command->reaction
               ? "--stubs is for events and requests: a reaction asks no other system"
               : NULL;
}
