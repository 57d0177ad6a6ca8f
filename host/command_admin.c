/* command_admin: the verbs that ask the running program. */
#include <stdio.h>

#include "admin/socket.h"
#include "command.h"
#include "script/script.h"

#define ANSWER_TIMEOUT_MS 30000

/* Says the answer; 0 where it begins as a good one does. */
static int ask(const struct command *command, const char *line, const char *good) {
    struct buffer answer = {0};
    struct err err = {0};
    bool ok = admin_call(command->config->admin.socket, line, ANSWER_TIMEOUT_MS, &answer, &err);
    if (ok) {
        printf("%.*s\n", (int)answer.len, answer.data);
        ok = strncmp(answer.data, good, strlen(good)) == 0;
    } else {
        fprintf(stderr, "%s: %s\n", line, err.text);
    }
    buffer_free(&answer);
    return ok ? 0 : 1;
}

int command_status(const struct command *command) {
    return ask(command, "status", "");
}

int command_resume(const struct command *command) {
    return ask(command, "resume", "");
}

static int change(const struct command *command, const char *line) {
    return ask(command, line, "{\"done\":true");
}

int command_reload(const struct command *command) {
    return change(command, "reload");
}

int command_rollback(const struct command *command) {
    char line[64] = "rollback";
    if (command->word_count > 1 ||
        (command->word_count == 1 && strlen(command->words[0]) > SCRIPT_HASH_LEN)) {
        fputs("aggregator: rollback takes the number or the hash of one generation, or none\n",
              stderr);
        return 2;
    }
    if (command->word_count == 1) {
        snprintf(line, sizeof line, "rollback %s", command->words[0]);
    }
    return change(command, line);
}
