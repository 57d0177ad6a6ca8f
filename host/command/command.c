/* command: shared by several commands. */
#include "command.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/stop.h"

bool command_confirm(const struct command *command, const char *question) {
    char answer[16];
    if (command->yes) {
        return true;
    }
    if (!isatty(STDIN_FILENO)) {
        fflush(stdout); /* the question is the last line where both go to one file */
        fprintf(stderr, "%s Add --yes: standard input is no terminal.\n", question);
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
