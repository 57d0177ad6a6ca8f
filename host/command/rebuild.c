/* rebuild: `aggregator verify` and `aggregator rebuild`. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "command.h"
#include "report.h"
#include "base/plural.h"
#include "base/signals.h"
#include "rebuild/rebuild.h"

#define END_LIMIT_S 30 /* longer than dropping the shadow takes */

static int command_rebuild_fail(const struct command *command, const char *verb,
                                const struct err *err) {
    command_report(command, verb, err);
    return 1;
}

static bool command_rebuild_open(struct rebuild *rebuild, const struct command *command,
                                 struct err *err) {
    struct rebuild_options options = {command->config, command->limit, command->keep_shadow,
                                      stdout};
    *rebuild = (struct rebuild){0};
    signal(SIGPIPE, SIG_IGN);
    return signals_listen(false, END_LIMIT_S, err) && rebuild_open(rebuild, &options, err);
}

static void command_rebuild_print_outside(const struct rebuild *rebuild) {
    if (rebuild->outside > 0) {
        printf("%" PRId64 " row%s on events that cannot be repeated: not derived again\n",
               rebuild->outside, rebuild->outside == 1 ? " depends" : "s depend");
    }
}

int command_verify(const struct command *command) {
    struct rebuild rebuild;
    struct err err = {0};
    bool ok = command_rebuild_open(&rebuild, command, &err) &&
              rebuild_compare(&rebuild, false, false, &err);
    if (ok) {
        command_rebuild_print_outside(&rebuild);
        printf(rebuild.different ? "%" PRId64 " row%s\n" : "the view matches the log\n",
               rebuild.different, rebuild.different == 1 ? " differs" : "s differ");
    }
    int status = ok ? rebuild.different > 0 : command_rebuild_fail(command, "verify", &err);
    rebuild_close(&rebuild);
    return status;
}

/* ---- rebuild ------------------------------------------------------------------------------- */

static int command_rebuild_repair(struct rebuild *rebuild, const struct command *command,
                                  struct err *err) {
    char question[64];
    if (!rebuild_compare(rebuild, command->yes, false, err)) {
        return command_rebuild_fail(command, "rebuild", err);
    }
    command_rebuild_print_outside(rebuild);
    if (rebuild->different == 0) {
        puts("the view matches the log: nothing to change");
        return 0;
    }
    if (!command->yes) {
        snprintf(question, sizeof question, "Change %" PRId64 " row%s of the live view?",
                 rebuild->different, plural_of(rebuild->different));
        if (!command_confirm(command, question)) {
            return 1;
        }
        /* The question holds no lock: rows may have changed meanwhile. */
        if (!rebuild_compare(rebuild, true, true, err)) {
            return command_rebuild_fail(command, "rebuild", err);
        }
    }
    printf("%" PRId64 " row%s repaired\n", rebuild->different, plural_of(rebuild->different));
    return 0;
}

int command_rebuild(const struct command *command) {
    struct rebuild rebuild;
    struct err err = {0};
    int status = command_rebuild_open(&rebuild, command, &err)
                     ? command_rebuild_repair(&rebuild, command, &err)
                     : command_rebuild_fail(command, "rebuild", &err);
    rebuild_close(&rebuild);
    return status;
}
