/* command: what several verbs share. */
#include "command.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/stop.h"

#define PRINT_LIMIT_DEFAULT 20

bool command_number(const char *option, const char *text, int64_t min, int64_t max, int64_t *out) {
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (errno || end == text || *end || *out < min || *out > max) {
        fprintf(stderr, "aggregator: --%s is \"%s\": a whole number from %lld to %lld\n", option,
                text, (long long)min, (long long)max);
        return false;
    }
    return true;
}

bool command_print_limit(const struct command *command, int64_t *limit) {
    *limit = PRINT_LIMIT_DEFAULT;
    return !command->limit || command_number("limit", command->limit, 0, INT32_MAX, limit);
}

bool command_confirm(const struct command *command, const char *question) {
    char answer[16];
    if (command->yes) {
        return true;
    }
    if (!isatty(STDIN_FILENO)) {
        fprintf(stderr, "%s Say --yes where nobody can be asked.\n", question);
        return false;
    }
    printf("%s [y/N] ", question);
    fflush(stdout);
    struct pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {stop_fd(), POLLIN, 0}};
    if (TEMP_FAILURE_RETRY(poll(fds, 2, -1)) < 0 || stop_requested()) {
        return false;
    }
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}
