/* admin: commands that call the running program. */
#include <inttypes.h>
#include <stdio.h>

#include "admin/socket.h"
#include "command.h"
#include "report.h"
#include "live.h"
#include "reload/reload.h"
#include "report_text.lua.h"
#include "script/script.h"
#include "script/text_report.h"
#include "shadow_run_report.lua.h"

#define ANSWER_TIMEOUT_MS 30000
/* Longer than the limits of the specs and of a shadow run: for a program that hangs. */
#define CHECKS_TIMEOUT_MS ((CONFIG_SPECS_TIMEOUT_MAX_S + 20 * 60) * 1000)
#define LINE_BYTES 128
/* For the new process to join the group, or to be ended. */
#define UPGRADE_MARGIN_MS 60000

static bool admin_starts_with(const struct buffer *answer, const char *text) {
    return strncmp(answer->data, text, strlen(text)) == 0;
}

static bool admin_call_program(const struct command *command, const char *line, int timeout_ms,
                               struct buffer *answer) {
    struct err err = {0};
    bool ok = admin_call(command->socket, line, timeout_ms, answer, &err);
    if (!ok) {
        command_report(command, line, &err);
    }
    buffer_append(answer, "", 0);
    return ok;
}

static int admin_ask_within(const struct command *command, const char *line, const char *good,
                            int timeout_ms) {
    struct buffer answer = {0};
    bool ok = admin_call_program(command, line, timeout_ms, &answer);
    if (ok) {
        puts(answer.data);
        ok = admin_starts_with(&answer, good);
    }
    buffer_free(&answer);
    return ok ? 0 : 1;
}

/* Prints the response; 0 if it begins with `good`. */
static int admin_ask(const struct command *command, const char *line, const char *good) {
    return admin_ask_within(command, line, good, ANSWER_TIMEOUT_MS);
}

int command_health(const struct command *command) {
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "health %s", command->word_count ? command->words[0] : "alive");
    return admin_ask(command, line, "{\"good\":true");
}

int command_resume(const struct command *command) {
    return admin_ask(command, "resume", "");
}

#define CHANGED "{\"done\":true"
#define UNCHANGED(reason) "\"reason\":\"" reason "\""

/* Adds " name=N" to the line. */
static void admin_add_number(char line[LINE_BYTES], const char *name, int64_t number) {
    size_t len = strlen(line);
    snprintf(line + len, LINE_BYTES - len, " %s=%" PRId64, name, number);
}

int command_reload(const struct command *command) {
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "reload%s%s", command->drop ? " drop=true" : "",
             command->shadow_run ? " shadow_run=true" : "");
    if (command->events > 0) {
        admin_add_number(line, "events", command->events);
    }
    if (command->accept >= 0) {
        admin_add_number(line, "accept", command->accept);
    }
    struct buffer answer = {0};
    bool ok = admin_call_program(command, line, CHECKS_TIMEOUT_MS, &answer);
    if (ok) {
        puts(answer.data);
        ok = admin_starts_with(&answer, CHANGED) ||
             strstr(answer.data, UNCHANGED(RELOAD_NOTHING_CHANGED)) ||
             strstr(answer.data, UNCHANGED(RELOAD_NEEDS_RESTART));
    }
    buffer_free(&answer);
    return ok ? 0 : 1;
}

int command_upgrade(const struct command *command) {
    int ready_ms =
        command->config ? command->config->service.upgrade_timeout_ms : UPGRADE_MARGIN_MS;
    int timeout_ms = ready_ms + UPGRADE_MARGIN_MS;
    return admin_ask_within(command, "upgrade", CHANGED, timeout_ms);
}

static int admin_show(const struct command *command, const struct buffer *answer) {
    struct text_report report = {.name = "shadow_run_report",
                                 .chunk = EMBEDDED(shadow_run_report_lua),
                                 .helpers = {EMBEDDED(report_text_lua)},
                                 .json = buffer_slice(answer)};
    struct err err = {0};
    bool equal = admin_starts_with(answer, "{\"equal\":true");
    if (!equal && !admin_starts_with(answer, "{\"equal\":false")) {
        fprintf(stderr, "aggregator: diff: %s\n", answer->data);
        return 2;
    }
    if (command->json) {
        puts(answer->data);
    } else if (!text_report_print(&report, stdout, &err) && !live_misread(command->socket, &err)) {
        fprintf(stderr, "aggregator: diff: %s\n", err.text);
        return 2;
    }
    return equal ? 0 : 1;
}

int command_diff(const struct command *command) {
    char line[LINE_BYTES];
    struct buffer answer = {0};
    snprintf(line, sizeof line, "diff%s", command->interpreted ? " interpreted=true" : "");
    if (command->events > 0) {
        admin_add_number(line, "events", command->events);
    }
    int status = admin_call_program(command, line, CHECKS_TIMEOUT_MS, &answer)
                     ? admin_show(command, &answer)
                     : 2;
    buffer_free(&answer);
    return status;
}

int command_rollback(const struct command *command) {
    char line[LINE_BYTES] = "rollback";
    if (command->word_count == 1 && strlen(command->words[0]) > SCRIPT_HASH_LEN) {
        fprintf(stderr, "aggregator: rollback: \"%s\" is longer than a hash (%d digits)\n",
                command->words[0], SCRIPT_HASH_LEN);
        return 2;
    }
    if (command->word_count == 1) {
        snprintf(line, sizeof line, "rollback %s", command->words[0]);
    }
    return admin_ask(command, line, CHANGED);
}
