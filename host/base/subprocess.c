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
    int output, errors; /* read ends; -1 after end of file */
};

/* ---- starting ------------------------------------------------------------------------------ */

void subprocess_end_with(pid_t parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        _exit(EXIT_FAILURE); /* the parent has already ended */
    }
}

/* In the child: async-signal-safe calls only. Resets signals and closes all descriptors: some of
 * libraries are not close-on-exec. */
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

/* 0 or an errno. */
static int subprocess_spawn(pid_t *pid, char **argv, int output, int errors) {
    pid_t parent = getpid();
    *pid = fork();
    if (*pid == 0) {
        subprocess_become(argv, output, errors, parent);
    }
    if (*pid > 0) {
        setpgid(*pid, *pid); /* parent and child both call it: either may run first */
    }
    return *pid < 0 ? errno : 0;
}

static bool subprocess_start(struct child *child, const char *const *arguments, struct err *err) {
    int output[2], errors[2];
    size_t count = 0;
    if (pipe2(output, O_CLOEXEC) != 0) {
        return err_set(err, ERR_INTERNAL, "cannot create a pipe: %s", strerror(errno));
    }
    if (pipe2(errors, O_CLOEXEC) != 0) {
        close(output[0]);
        close(output[1]);
        return err_set(err, ERR_INTERNAL, "cannot create a pipe: %s", strerror(errno));
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

/* ---- reading ------------------------------------------------------------------------------- */

/* Reads once; closes the descriptor at end of file. */
static void subprocess_read(int *fd, struct buffer *into) {
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

static bool subprocess_read_all(struct child *child, const struct subprocess_options *options,
                                struct buffer *output, struct buffer *errors, struct err *err) {
    int64_t deadline_us = clock_monotonic_us() + options->timeout_ms * 1000LL;
    while (child->output >= 0 || child->errors >= 0) {
        struct pollfd fds[3] = {
            {child->output, POLLIN, 0}, {child->errors, POLLIN, 0}, {options->stop_fd, POLLIN, 0}};
        int ready = clock_poll(fds, 3, deadline_us);
        if (ready < 0) {
            return err_set(err, ERR_INTERNAL, "cannot wait: %s", strerror(errno));
        }
        if (ready == 0) {
            return err_set(err, ERR_TIMEOUT, "timed out after %d s", options->timeout_ms / 1000);
        }
        if (fds[2].revents) {
            return err_set(err, ERR_UNAVAILABLE, "the program is stopping");
        }
        if (fds[0].revents) {
            subprocess_read(&child->output, output);
            if (options->take_output) {
                options->take_output(options->context, output);
            }
        }
        if (fds[1].revents) {
            subprocess_read(&child->errors, errors);
            subprocess_keep_last(errors, ERRORS_KEPT_BYTES);
        }
        if (output->len > options->output_max_bytes) {
            return err_set(err, ERR_INPUT, "the output is longer than %zu bytes",
                           options->output_max_bytes);
        }
    }
    return true;
}

/* ---- end ------------------------------------------------------------------------------------ */

static bool subprocess_wait(const struct child *child, bool ended, int *status, struct err *err) {
    int end = 0;
    if (!ended) {
        kill(-child->pid, SIGKILL); /* its process group */
    }
    if (TEMP_FAILURE_RETRY(waitpid(child->pid, &end, 0)) < 0) {
        return err_set(err, ERR_INTERNAL, "cannot wait for a child: %s", strerror(errno));
    }
    if (ended && !WIFEXITED(end)) {
        return err_set(err, ERR_UNAVAILABLE, "ended by signal %d", WTERMSIG(end));
    }
    *status = WEXITSTATUS(end);
    return ended;
}

bool subprocess_run(const struct subprocess_options *options, struct buffer *output,
                    struct buffer *errors, int *status, struct err *err) {
    struct child child = {0, -1, -1};
    bool started = subprocess_start(&child, options->arguments, err);
    bool ok = started && subprocess_read_all(&child, options, output, errors, err);
    ok = started && subprocess_wait(&child, ok, status, err);
    if (child.output >= 0) {
        close(child.output);
    }
    if (child.errors >= 0) {
        close(child.errors);
    }
    return ok;
}
