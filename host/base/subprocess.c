#include "subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
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

void subprocess_end_with(pid_t parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        _exit(EXIT_FAILURE); /* it has ended already */
    }
}

/* In the child. The service's blocked and ignored signals are not the child's; and its descriptors,
 * of which some libraries' are not marked to be closed, are not either. Only what may be called
 * beside other threads is called. */
static void subprocess_become(char **argv, int output, int errors, pid_t parent) {
    sigset_t none;
    sigemptyset(&none);
    subprocess_end_with(parent);
    setpgid(0, 0);
    int input = open("/dev/null", O_RDONLY);
    if (input >= 0 && dup2(input, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
        dup2(errors, STDERR_FILENO) >= 0 && close_range(STDERR_FILENO + 1, ~0U, 0) == 0 &&
        signal(SIGPIPE, SIG_DFL) != SIG_ERR && pthread_sigmask(SIG_SETMASK, &none, NULL) == 0) {
        execv(PROGRAM, argv);
    }
    _exit(EXIT_FAILURE);
}

/* 0, or the number of an error. */
static int subprocess_spawn(pid_t *pid, char **argv, int output, int errors) {
    pid_t parent = getpid();
    *pid = fork();
    if (*pid == 0) {
        subprocess_become(argv, output, errors, parent);
    }
    if (*pid > 0) {
        setpgid(*pid, *pid); /* whoever of both is first */
    }
    return *pid < 0 ? errno : 0;
}

static bool subprocess_start(struct child *child, const char *const *arguments, struct err *err) {
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
    int failure = subprocess_spawn(&child->pid, argv, output[1], errors[1]);
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
static void subprocess_take(int *fd, struct buffer *into) {
    char bytes[READ_BYTES];
    ssize_t got = TEMP_FAILURE_RETRY(read(*fd, bytes, sizeof bytes));
    if (got > 0) {
        buffer_append(into, bytes, (size_t)got);
    } else {
        close(*fd);
        *fd = -1;
    }
}

static void subprocess_keep_last(struct buffer *bytes, size_t kept) {
    if (bytes->len > kept) {
        memmove(bytes->data, bytes->data + bytes->len - kept, kept);
        bytes->len = kept;
        bytes->data[kept] = '\0';
    }
}

static bool subprocess_listen_to(struct child *child, const struct subprocess_options *options,
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
            subprocess_take(&child->output, output);
        }
        if (fds[1].revents) {
            subprocess_take(&child->errors, errors);
            subprocess_keep_last(errors, ERRORS_KEPT_BYTES);
        }
        if (output->len > options->output_max_bytes) {
            return err_set(err, ERR_INPUT, "the answer is longer than %zu bytes",
                           options->output_max_bytes);
        }
    }
    return true;
}

/* ---- its end ------------------------------------------------------------------------------- */

static bool subprocess_bury(const struct child *child, bool listened, int *status,
                            struct err *err) {
    int end = 0;
    if (!listened) {
        kill(-child->pid, SIGKILL); /* it leads a group of its own */
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
    bool started = subprocess_start(&child, options->arguments, err);
    bool ok = started && subprocess_listen_to(&child, options, output, errors, err);
    ok = started && subprocess_bury(&child, ok, status, err);
    if (child.output >= 0) {
        close(child.output);
    }
    if (child.errors >= 0) {
        close(child.errors);
    }
    return ok;
}
