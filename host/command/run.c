/* run: runs the program until a signal. */
#include <signal.h>
#include <unistd.h>

#include "command.h"
#include "../base/log.h"
#include "../program.h"
#include "../base/watch.h"

/* Longer than a transaction's deadline and the leaving of the group together. */
#define SHUTDOWN_LIMIT_S 45

/* Runs in signal context: only _exit and alarm are called. */
static void end_at_once(int number) {
    (void)number;
    static const char text[] = "aggregator: ended at once\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    _exit(written > 0 ? 130 : 131);
}

/* The next signal; 0: none came for a while. */
static int next_signal(const sigset_t *signals, bool watch) {
    int number = watch ? watch_signal(signals) : sigwaitinfo(signals, NULL);
    return number > 0 ? number : 0;
}

static void wait_for_end(struct program *program, const sigset_t *signals, bool watch) {
    int number;
    while ((number = next_signal(signals, watch)) == 0 || number == SIGHUP) {
        if (number == SIGHUP) {
            program_reload(program);
        } else if (watch) {
            program_reload_if_changed(program);
        }
    }
    log_info("stopping", LOG_TEXT("signal", strsignal(number)));
    /* A second signal, or a shutdown that hangs in a library, ends the process: the log position
     * is safe in Postgres. */
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, end_at_once);
    signal(SIGINT, end_at_once);
    signal(SIGALRM, end_at_once);
    pthread_sigmask(SIG_UNBLOCK, signals, NULL);
    alarm(SHUTDOWN_LIMIT_S);
}

int command_run(const struct command *command) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    /* Blocked before any thread starts, so that only sigwait takes them. */
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct err err = {0};
    struct program *program = program_start(command->config, command->config_path, &err);
    if (!program) {
        log_error("cannot start", LOG_TEXT("error", err.text));
        return 1;
    }
    program_log(program);
    wait_for_end(program, &signals, command->watch);
    program_stop(program);
    log_info("stopped");
    return 0;
}
