#include "subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "xalloc.h"

#define PROGRAM "/proc/self/exe"
#define ERRORS_KEPT_BYTES 8192
#define READ_BYTES 65536

struct child {
    pid_t pid;
    int output, errors; /* read ends; -1 once they have ended */
};

/* ---- starting ------------------------------------------------------------------------------ */

/* The service's blocked and ignored signals are not the child's; and its descriptors, of which some
 * libraries' are not marked to be closed, are not either. */
static int spawn(pid_t *pid, char **argv, int output, int errors) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    int failure = posix_spawn_file_actions_init(&actions);
    if (failure != 0) {
        return failure;
    }
    failure = posix_spawnattr_init(&attributes);
    if (failure == 0 &&
        (failure = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)) == 0 &&
        (failure = posix_spawn_file_actions_adddup2(&actions, output, 1)) == 0 &&
        (failure = posix_spawn_file_actions_adddup2(&actions, errors, 2)) == 0 &&
        (failure = posix_spawn_file_actions_addclosefrom_np(&actions, 3)) == 0 &&
        (failure = posix_spawnattr_setsigmask(&attributes, &none)) == 0 &&
        (failure = posix_spawnattr_setsigdefault(&attributes, &defaults)) == 0 &&
        (failure = posix_spawnattr_setflags(&attributes,
                                            POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)) == 0) {
        failure = posix_spawn(pid, PROGRAM, &actions, &attributes, argv, environ);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

static bool start(struct child *child, const char *const *arguments, struct err *err) {
    int output[2], errors[2];
    size_t count = 0;
    if (pipe2(output, O_CLOEXEC) != 0) {
        return err_set(err, ERR_INTERNAL, "cannot make a pipe: %s", strerror(errno));
    }
    if (pipe2(errors, O_CLOEXEC) != 0) {
        close(output[0]);
        close(output[1]);
        return err_set(err, ERR_INTERNAL, "cannot make a pipe: %s", strerror(errno));
    }
    while (arguments[count]) {
        count++;
    }
    char **argv = xcalloc(count + 2, sizeof *argv);
    argv[0] = "aggregator";
    memcpy(argv + 1, arguments, count * sizeof *argv);
    int failure = spawn(&child->pid, argv, output[1], errors[1]);
    free(argv);
    close(output[1]);
    close(errors[1]);
    child->output = output[0];
    child->errors = errors[0];
    return failure == 0 ||
           err_set(err, ERR_INTERNAL, "cannot start another aggregator: %s", strerror(failure));
}

/* ---- listening to it ----------------------------------------------------------------------- */

/* Reads what is there; closes the descriptor at its end. */
static void take(int *fd, struct buffer *into) {
    char bytes[READ_BYTES];
    ssize_t got = TEMP_FAILURE_RETRY(read(*fd, bytes, sizeof bytes));
    if (got > 0) {
        buffer_append(into, bytes, (size_t)got);
    } else {
        close(*fd);
        *fd = -1;
    }
}

static void keep_last(struct buffer *bytes, size_t kept) {
    if (bytes->len > kept) {
        memmove(bytes->data, bytes->data + bytes->len - kept, kept);
        bytes->len = kept;
        bytes->data[kept] = '\0';
    }
}

static bool listen_to(struct child *child, const struct subprocess_options *options,
                      struct buffer *output, struct buffer *errors, struct err *err) {
    int64_t deadline_us = clock_monotonic_us() + options->timeout_ms * 1000LL;
    while (child->output >= 0 || child->errors >= 0) {
        /* A negative descriptor is passed over. */
        struct pollfd fds[3] = {
            {child->output, POLLIN, 0}, {child->errors, POLLIN, 0}, {options->stop_fd, POLLIN, 0}};
        int ready = TEMP_FAILURE_RETRY(poll(fds, 3, clock_remaining_ms(deadline_us)));
        if (ready < 0) {
            return err_set(err, ERR_INTERNAL, "cannot wait: %s", strerror(errno));
        }
        if (ready == 0) {
            return err_set(err, ERR_TIMEOUT, "not done after %d s", options->timeout_ms / 1000);
        }
        if (fds[2].revents) {
            return err_set(err, ERR_UNAVAILABLE, "the program is stopping");
        }
        if (fds[0].revents) {
            take(&child->output, output);
        }
        if (fds[1].revents) {
            take(&child->errors, errors);
            keep_last(errors, ERRORS_KEPT_BYTES);
        }
        if (output->len > options->output_max_bytes) {
            return err_set(err, ERR_INPUT, "the answer is longer than %zu bytes",
                           options->output_max_bytes);
        }
    }
    return true;
}

/* ---- its end ------------------------------------------------------------------------------- */

static bool bury(const struct child *child, bool listened, int *status, struct err *err) {
    int end = 0;
    if (!listened) {
        kill(child->pid, SIGKILL);
    }
    if (TEMP_FAILURE_RETRY(waitpid(child->pid, &end, 0)) < 0) {
        return err_set(err, ERR_INTERNAL, "cannot wait for a child: %s", strerror(errno));
    }
    if (listened && !WIFEXITED(end)) {
        return err_set(err, ERR_UNAVAILABLE, "ended by signal %d", WTERMSIG(end));
    }
    *status = WEXITSTATUS(end);
    return listened;
}

bool subprocess_run(const struct subprocess_options *options, struct buffer *output,
                    struct buffer *errors, int *status, struct err *err) {
    struct child child = {0, -1, -1};
    bool started = start(&child, options->arguments, err);
    bool ok = started && listen_to(&child, options, output, errors, err);
    ok = started && bury(&child, ok, status, err);
    if (child.output >= 0) {
        close(child.output);
    }
    if (child.errors >= 0) {
        close(child.errors);
    }
    return ok;
}
