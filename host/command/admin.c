/* admin: the verbs that ask the running program. */
#include <inttypes.h>
#include <stdio.h>

#include "../admin/socket.h"
#include "../canary/canary.h"
#include "../canary/show.h"
#include "command.h"
#include "../script/script.h"

#define ANSWER_TIMEOUT_MS 30000
/* Specs and a canary bound themselves; this is for a program that hangs. */
#define CHECKS_TIMEOUT_MS (20 * 60 * 1000)
#define LINE_BYTES 128

const char command_reload_usage[] =
    "usage: aggregator reload [--drop] [--canary [--events N] [--accept PERCENT]]\n"
    "\n"
    "Replaces the scripts and settings that run by those on the disk, if all of them are good.\n"
    "Prints JSON. Exit status: 0 replaced, 1 nothing was changed.\n"
    "\n"
    "  --drop            even where topics or paths that run now are missing on the disk\n"
    "  --canary          first run the newest events of the log through both, beside the live\n"
    "                    view, and replace them only where so little differs as is accepted\n"
    "  --events N        of so many events, default scripts.canary_events\n"
    "  --accept PERCENT  of the rows may differ and of the events be newly rejected, default\n"
    "                    scripts.canary_accept_percent; 100: whatever it finds\n";

const char command_diff_usage[] =
    "usage: aggregator diff [--events N] [--json]\n"
    "\n"
    "Runs the newest events of the log through the scripts that run and through those on the\n"
    "disk, beside the live view, and prints what differs. Changes nothing.\n"
    "Exit status: 0 equal, 1 different, 2 failed.\n"
    "\n"
    "  --events N  of so many events, default scripts.canary_events\n"
    "  --json      everything, as one JSON object\n";

static bool starts_with(const struct buffer *answer, const char *text) {
    return strncmp(answer->data, text, strlen(text)) == 0;
}

static bool call(const struct command *command, const char *line, int timeout_ms,
                 struct buffer *answer) {
    struct err err = {0};
    bool ok = admin_call(command->config->admin.socket, line, timeout_ms, answer, &err);
    if (!ok) {
        fprintf(stderr, "%s: %s\n", line, err.text);
    }
    buffer_append(answer, "", 0);
    return ok;
}

static int ask_within(const struct command *command, const char *line, const char *good,
                      int timeout_ms) {
    struct buffer answer = {0};
    bool ok = call(command, line, timeout_ms, &answer);
    if (ok) {
        puts(answer.data);
        ok = starts_with(&answer, good);
    }
    buffer_free(&answer);
    return ok ? 0 : 1;
}

/* Says the answer; 0 where it begins as a good one does. */
static int ask(const struct command *command, const char *line, const char *good) {
    return ask_within(command, line, good, ANSWER_TIMEOUT_MS);
}

int command_status(const struct command *command) {
    return ask(command, "status", "");
}

int command_resume(const struct command *command) {
    return ask(command, "resume", "");
}

#define CHANGED "{\"done\":true"

/* Adds " name=N" to the line where the option was given; false as command_number. */
static bool add_number(char line[LINE_BYTES], const char *name, const char *text, int64_t min,
                       int64_t max) {
    int64_t number;
    size_t len = strlen(line);
    if (!text) {
        return true;
    }
    if (!command_number(name, text, min, max, &number)) {
        return false;
    }
    snprintf(line + len, LINE_BYTES - len, " %s=%" PRId64, name, number);
    return true;
}

int command_reload(const struct command *command) {
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "reload%s%s", command->drop ? " drop=true" : "",
             command->canary ? " canary=true" : "");
    if (!command->canary && (command->events || command->accept)) {
        fputs("aggregator: --events and --accept are of a canary: say --canary, too\n", stderr);
        return 2;
    }
    if (!add_number(line, "events", command->events, 1, CANARY_EVENTS_MAX) ||
        !add_number(line, "accept", command->accept, 0, 100)) {
        return 2;
    }
    return ask_within(command, line, CHANGED, CHECKS_TIMEOUT_MS);
}

static int show(const struct command *command, const struct buffer *answer) {
    struct err err = {0};
    bool equal = starts_with(answer, "{\"equal\":true");
    if (!equal && !starts_with(answer, "{\"equal\":false")) {
        fprintf(stderr, "aggregator: diff: %s\n", answer->data);
        return 2;
    }
    if (command->json) {
        puts(answer->data);
    } else if (!canary_show(buffer_slice(answer), stdout, &err)) {
        fprintf(stderr, "aggregator: diff: %s\n", err.text);
        return 2;
    }
    return equal ? 0 : 1;
}

int command_diff(const struct command *command) {
    char line[LINE_BYTES] = "diff";
    struct buffer answer = {0};
    if (!add_number(line, "events", command->events, 1, CANARY_EVENTS_MAX)) {
        return 2;
    }
    int status = call(command, line, CHECKS_TIMEOUT_MS, &answer) ? show(command, &answer) : 2;
    buffer_free(&answer);
    return status;
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
    return ask(command, line, CHANGED);
}
