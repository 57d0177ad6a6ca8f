/* command_admin: the verbs that ask the running program. */
#include <stdio.h>

#include "admin/socket.h"
#include "command.h"

#define ANSWER_TIMEOUT_MS 30000

static int ask(const struct command *command, const char *verb) {
    struct buffer answer = {0};
    struct err err = {0};
    bool ok = admin_call(command->config->admin.socket, verb, ANSWER_TIMEOUT_MS, &answer, &err);
    if (ok) {
        printf("%.*s\n", (int)answer.len, answer.data);
    } else {
        fprintf(stderr, "%s: %s\n", verb, err.text);
    }
    buffer_free(&answer);
    return ok ? 0 : 1;
}

int command_status(const struct command *command) {
    return ask(command, "status");
}

int command_resume(const struct command *command) {
    return ask(command, "resume");
}
