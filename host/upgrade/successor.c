#include "successor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"

#define FIRST_SOCKET 3 /* SD_LISTEN_FDS_START */
#define END_TIMEOUT_MS 10000
#define PID_NAME "LISTEN_PID="
#define PID_DIGITS 12

/* What the new process needs, made before fork(2): after it only async-signal-safe calls are
 * allowed. */
struct image {
    char *path;
    char *const *argv;
    char **environment; /* the first entry is pid_entry */
    char pid_entry[sizeof PID_NAME + PID_DIGITS];
    char counts[32];
    char names[256];
    const char *needs;                  /* an entry; NULL: none */
    int fds[SUCCESSOR_SOCKETS_MAX + 1]; /* the last is the channel */
    size_t fd_count;
};

/* ---- before the fork ------------------------------------------------------------------------ */

/* As execvp(3), which would run a damaged program as a shell script. */
static char *successor_find_program(const char *name, struct err *err) {
    char path[4096];
    const char *at = getenv("PATH");
    if (strchr(name, '/')) {
        return xstrdup(name);
    }
    while (at && *at) {
        size_t len = strcspn(at, ":");
        snprintf(path, sizeof path, "%.*s/%s", (int)len, at, name);
        if (len > 0 && access(path, X_OK) == 0) {
            return xstrdup(path);
        }
        at += len + (at[len] == ':');
    }
    err_set(err, ERR_INPUT, "the program \"%s\" is not in PATH", name);
    return NULL;
}

/* These name a process: the new one gets its own, or none. */
static bool successor_is_own(const char *entry) {
    return strncmp(entry, "LISTEN_", 7) == 0 || strncmp(entry, "WATCHDOG_PID=", 13) == 0;
}

static void successor_make_environment(struct image *image) {
    size_t count = 0;
    while (environ[count]) {
        count++;
    }
    image->environment = xcalloc(count + 5, sizeof *image->environment);
    char **to = image->environment;
    *to++ = image->pid_entry;
    *to++ = image->counts;
    *to++ = image->names;
    if (image->needs) {
        *to++ = (char *)image->needs;
    }
    for (size_t i = 0; i < count; i++) {
        if (!successor_is_own(environ[i])) {
            *to++ = environ[i];
        }
    }
}

static void successor_add_socket(struct image *image, const char *name, int fd) {
    size_t len = strlen(image->names);
    snprintf(image->names + len, sizeof image->names - len, "%s%s",
             image->fd_count > 0 ? ":" : "LISTEN_FDNAMES=", name);
    image->fds[image->fd_count++] = fd;
}

/* ---- in the new process: async-signal-safe calls only ---------------------------------------- */

static void successor_write_pid(struct image *image) {
    char *at = image->pid_entry + sizeof image->pid_entry - 1;
    int pid = (int)getpid();
    *at = '\0';
    for (; pid > 0; pid /= 10) {
        *--at = (char)('0' + pid % 10);
    }
    at -= strlen(PID_NAME);
    memcpy(at, PID_NAME, strlen(PID_NAME));
    image->environment[0] = at;
}

/* Moves the sockets to FIRST_SOCKET and the descriptors after it, and closes all others. */
static bool successor_place_sockets(struct image *image) {
    int count = (int)image->fd_count;
    for (int i = 0; i < count; i++) {
        image->fds[i] = fcntl(image->fds[i], F_DUPFD, FIRST_SOCKET + count);
    }
    for (int i = 0; i < count; i++) {
        if (image->fds[i] < 0 || dup2(image->fds[i], FIRST_SOCKET + i) < 0) {
            return false;
        }
    }
    return close_range((unsigned)(FIRST_SOCKET + count), ~0U, 0) == 0;
}

static void successor_become(struct image *image) {
    sigset_t none;
    sigemptyset(&none);
    successor_write_pid(image);
    if (successor_place_sockets(image) && signal(SIGPIPE, SIG_DFL) != SIG_ERR &&
        pthread_sigmask(SIG_SETMASK, &none, NULL) == 0) {
        execve(image->path, image->argv, image->environment);
        int channel = FIRST_SOCKET + (int)image->fd_count - 1;
        const char *reason = strerrordesc_np(errno);
        struct iovec message[4] = {{CHANNEL_FAILED " ", strlen(CHANNEL_FAILED " ")},
                                   {(char *)image->path, strlen(image->path)},
                                   {": ", 2},
                                   {(char *)reason, strlen(reason)}};
        (void)!writev(channel, message, 4);
    }
    _exit(EXIT_FAILURE);
}

/* ---- starting ------------------------------------------------------------------------------- */

/* The child starts the new process and ends: so it belongs to the service manager or init. */
static int successor_fork(struct image *image, int report, pid_t *pid) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        *pid = _Fork();
        if (*pid == 0) {
            successor_become(image);
        }
        (void)!write(report, pid, sizeof *pid);
        _exit(EXIT_SUCCESS);
    }
    if (child < 0 || TEMP_FAILURE_RETRY(waitpid(child, &status, 0)) < 0) {
        return errno;
    }
    return 0;
}

static bool successor_launch(struct successor *successor, struct image *image, struct err *err) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) {
        return err_set(err, ERR_INTERNAL, "cannot create a pipe: %s", strerror(errno));
    }
    int failure = successor_fork(image, report[1], &successor->pid);
    close(report[1]);
    if (failure == 0 && (read(report[0], &successor->pid, sizeof successor->pid) !=
                             (ssize_t)sizeof successor->pid ||
                         successor->pid < 0)) {
        failure = EAGAIN;
    }
    close(report[0]);
    if (failure != 0) {
        return err_set(err, ERR_INTERNAL, "cannot start the new process: %s", strerror(failure));
    }
    successor->pid_fd = pidfd_open(successor->pid, 0); /* -1: it has ended */
    return true;
}

bool successor_start(struct successor *successor, const struct successor_start *start,
                     struct err *err) {
    struct image image = {.argv = start->argv};
    image.needs = start->needs_kafka ? SUCCESSOR_NEEDS_NAME "=kafka" : NULL;
    int pair[2];
    *successor = (struct successor){-1, -1, -1};
    image.path = successor_find_program(start->argv[0], err);
    if (!image.path) {
        return false;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        free(image.path);
        return err_set(err, ERR_INTERNAL, "cannot create a pair of sockets: %s", strerror(errno));
    }
    for (size_t i = 0; i < start->socket_count; i++) {
        successor_add_socket(&image, start->sockets[i].name, start->sockets[i].fd);
    }
    successor_add_socket(&image, SUCCESSOR_CHANNEL_NAME, pair[1]);
    snprintf(image.counts, sizeof image.counts, "LISTEN_FDS=%zu", image.fd_count);
    successor_make_environment(&image);
    bool ok = successor_launch(successor, &image, err);
    close(pair[1]);
    successor->channel = pair[0];
    free(image.environment);
    free(image.path);
    if (!ok) {
        successor_close(successor);
    }
    return ok;
}

/* ---- talking -------------------------------------------------------------------------------- */

bool successor_await(const struct successor *successor, const char *word, int stop_fd,
                     int64_t deadline_us, struct channel_message *message, struct err *err) {
    switch (channel_receive(successor->channel, stop_fd, deadline_us, message)) {
    case CHANNEL_RECEIVED:
        break;
    case CHANNEL_GONE:
        return err_set(err, ERR_UNAVAILABLE,
                       "the new process ended before it took over: its log says why");
    case CHANNEL_TIMEOUT:
        return err_set(err, ERR_TIMEOUT,
                       "the new process did not get ready in time (service.upgrade_timeout_ms): "
                       "its log says what it waits for");
    case CHANNEL_STOPPED:
        return err_set(err, ERR_UNAVAILABLE, "the program is stopping");
    }
    if (strcmp(message->word, CHANNEL_FAILED) == 0) {
        return err_set(err, ERR_INPUT, "the new process cannot start: %s", message->text);
    }
    return strcmp(message->word, word) == 0 ||
           err_set(err, ERR_INTERNAL, "the new process says \"%s\" instead of \"%s\"",
                   message->word, word);
}

void successor_end(const struct successor *successor) {
    struct pollfd ended = {successor->pid_fd, POLLIN, 0};
    if (successor->pid_fd < 0 || pidfd_send_signal(successor->pid_fd, SIGTERM, NULL, 0) != 0) {
        return;
    }
    if (TEMP_FAILURE_RETRY(poll(&ended, 1, END_TIMEOUT_MS)) == 0) {
        log_warning("the new process does not end: it is killed",
                    LOG_INT("pid", (int64_t)successor->pid));
        pidfd_send_signal(successor->pid_fd, SIGKILL, NULL, 0);
    }
}

void successor_close(struct successor *successor) {
    if (successor->pid_fd >= 0) {
        close(successor->pid_fd);
    }
    if (successor->channel >= 0) {
        close(successor->channel);
    }
    *successor = (struct successor){-1, -1, -1};
}
