/* rebuild: `aggregator verify` and `aggregator rebuild`. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "command.h"
#include "base/signals.h"
#include "rebuild/rebuild.h"

/* Longer than it takes to drop the shadow. */
#define END_LIMIT_S 30

static struct rebuild_options command_rebuild_options_of(const struct command *command) {
    return (struct rebuild_options){command->config, command->limit, command->keep_shadow, stdout};
}

static int command_rebuild_fail(const char *verb, const struct err *err) {
    fprintf(stderr, "aggregator: %s: %s\n", verb, err->text);
    return 1;
}

static void command_rebuild_say_outside(const struct rebuild *rebuild) {
    if (rebuild->outside > 0) {
        printf("%" PRId64 " rows rest on answers from outside: not derived again\n",
               rebuild->outside);
    }
}

int command_verify(const struct command *command) {
    struct rebuild_options options = command_rebuild_options_of(command);
    struct rebuild rebuild;
    struct err err = {0};
    signal(SIGPIPE, SIG_IGN);
    if (!signals_listen(false, END_LIMIT_S, &err)) {
        return command_rebuild_fail("verify", &err);
    }
    bool ok =
        rebuild_open(&rebuild, &options, &err) && rebuild_compare(&rebuild, false, false, &err);
    if (ok) {
        command_rebuild_say_outside(&rebuild);
        printf(rebuild.different ? "%" PRId64 " rows differ\n" : "the view is what the log says\n",
               rebuild.different);
    }
    int status = ok ? rebuild.different > 0 : command_rebuild_fail("verify", &err);
    rebuild_close(&rebuild);
    return status;
}

/* ---- rebuild ------------------------------------------------------------------------------- */

static bool command_rebuild_confirmed(const struct command *command, int64_t rows) {
    char question[64];
    snprintf(question, sizeof question, "Change %" PRId64 " rows of the live view?", rows);
    return command_confirm(command, question);
}

static int command_rebuild_mend(struct rebuild *rebuild, const struct command *command,
                                struct err *err) {
    if (!rebuild_compare(rebuild, command->yes, false, err)) {
        return command_rebuild_fail("rebuild", err);
    }
    command_rebuild_say_outside(rebuild);
    if (rebuild->different == 0) {
        puts("the view is what the log says: nothing to change");
        return 0;
    }
    /* Asked without holding anything: what is changed is compared anew. */
    if (!command->yes) {
        if (!command_rebuild_confirmed(command, rebuild->different)) {
            return 1;
        }
        if (!rebuild_compare(rebuild, true, true, err)) {
            return command_rebuild_fail("rebuild", err);
        }
    }
    printf("%" PRId64 " rows mended\n", rebuild->different);
    return 0;
}

int command_rebuild(const struct command *command) {
    struct rebuild_options options = command_rebuild_options_of(command);
    struct rebuild rebuild;
    struct err err = {0};
    signal(SIGPIPE, SIG_IGN);
    if (!signals_listen(false, END_LIMIT_S, &err)) {
        return command_rebuild_fail("rebuild", &err);
    }
    int status = rebuild_open(&rebuild, &options, &err)
                     ? command_rebuild_mend(&rebuild, command, &err)
                     : command_rebuild_fail("rebuild", &err);
    rebuild_close(&rebuild);
    return status;
}
