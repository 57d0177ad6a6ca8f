/* command: shared by several commands. */
#include "command.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/stop.h"

bool command_check_folder(const struct command *command, struct err *err) {
    char here[PATH_MAX], scripts[PATH_MAX];
    if (!realpath(".", here) || !realpath(command->config->scripts.root, scripts)) {
        return true; /* what reads the folders says what is wrong with them */
    }
    size_t len = strlen(here);
    if (strncmp(scripts, here, len) == 0 && (scripts[len] == '/' || scripts[len] == '\0')) {
        return true;
    }
    return err_set(err, ERR_INPUT,
                   "the scripts are in %s, and specs and fixtures belong to the working folder, "
                   "%s: run this in the folder of the service, or say its --config",
                   scripts, here);
}

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
