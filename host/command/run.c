/* run: runs the program until a signal. */
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "command.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/stop.h"
#include "program/program.h"
#include "base/watch.h"
#include "upgrade/predecessor.h"

static void run_follow_signals(struct program *program, bool watch) {
    struct pollfd fds[3] = {{stop_fd(), POLLIN, 0},
                            {signals_reload_fd(), POLLIN, 0},
                            {program_upgrade_fd(program), POLLIN, 0}};
    while (!stop_requested() && !fds[2].revents) {
        eventfd_t asked;
        if (poll(fds, 3, watch ? WATCH_INTERVAL_MS : -1) == 0) {
            program_reload_if_changed(program);
        } else if (eventfd_read(fds[1].fd, &asked) == 0) {
            program_reload(program);
        }
    }
}

int command_run(const struct command *command) {
    struct err err = {0};
    signal(SIGPIPE, SIG_IGN);
    struct program *program = NULL;
    if (signals_listen(true, program_stop_limit_s(command->config), &err)) {
        struct program_options options = {command->config, command->config_path, command->argv};
        program = program_start(&options, &err);
    }
    if (!program && err.kind != ERR_NONE) {
        log_error("cannot start", LOG_TEXT("error", err.text));
        predecessor_fail(err.text);
        return 1;
    }
    if (program) {
        program_announce(program);
        run_follow_signals(program, command->watch);
        if (!program_stop(program)) {
            _exit(EX_SOFTWARE);
        }
    }
    log_info("stopped");
    return 0;
}
