/* status: the state of the running program. */
#include <stdio.h>

#include "base/clock.h"
#include "base/json_put.h"
#include "base/terminal.h"
#include "command.h"
#include "report.h"
#include "live.h"
#include "script/text_report.h"

#include "status_report.lua.h"

enum { STATUS_HEALTHY = 0, STATUS_NO_ANSWER = 1, STATUS_DEGRADED = 3, STATUS_NOT_READY = 4 };

/* The members of the answer begin with "port", "ready", "health"; a quote within a name is escaped.
 */
static int status_of(const struct buffer *answer) {
    const char *health = strstr(answer->data, "\"health\":{");
    const char *healthy = strstr(answer->data, "\",\"status\":\"healthy\",\"message\":");
    if (!strstr(answer->data, "\"ready\":true,\"health\":")) {
        return STATUS_NOT_READY;
    }
    return health && healthy > health ? STATUS_HEALTHY : STATUS_DEGRADED;
}

static bool status_print(const struct command *command, const struct buffer *answer,
                         struct err *err) {
    if (command->json) {
        terminal_print(stdout, buffer_slice(answer));
        putchar('\n');
        return true;
    }
    struct buffer json = {0};
    live_begin(&json);
    json_put_time(&json, "now", clock_wall_us());
    json_put_name(&json, "status");
    buffer_append(&json, answer->data, answer->len);
    buffer_append_text(&json, "}");
    bool ok = live_print("status_report", EMBEDDED(status_report_lua), &json, stdout, err) ||
              live_misread(command->socket, err);
    buffer_free(&json);
    return ok;
}

int command_status(const struct command *command) {
    struct buffer answer = {0};
    struct err err = {0};
    int status = STATUS_NO_ANSWER;
    if (live_ask(command->socket, "status", &answer, &err) &&
        status_print(command, &answer, &err)) {
        status = status_of(&answer);
    } else {
        command_report(command, "status", &err);
    }
    buffer_free(&answer);
    return status;
}
