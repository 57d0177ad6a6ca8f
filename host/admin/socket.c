#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_scan.h"
#include "base/log.h"
#include "base/xalloc.h"

#define REQUEST_TIMEOUT_MS 2000
#define ANSWER_TIMEOUT_MS 5000   /* in which a client takes a part of its answer */
#define CONNECT_TIMEOUT_MS 30000 /* in which a program that runs takes a client */
#define LINE_MAX_BYTES 1024
#define CLIENTS_MAX 16
#define ROOM_TIMEOUT_MS 3000 /* longer than REQUEST_TIMEOUT_MS: a silent client leaves first */
#define ACCEPT_PAUSE_MS 100  /* after accept ran out of descriptors or memory */

struct admin_socket {
    pthread_t thread;
    int listener;
    int stop_fd; /* readable: the thread ends */
    bool closed; /* the thread has ended */
    bool owns_path;
    char *path;
    const struct admin_verb *verbs;
    size_t verb_count;
    void *context;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t left;  /* signalled when a client leaves */
    size_t clients;
};

/* ---- both sides ---------------------------------------------------------------------------- */

static bool socket_make_address(const char *path, struct sockaddr_un *address, struct err *err) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (!path[0] || strlen(path) >= sizeof address->sun_path) {
        return err_set(err, ERR_INPUT, "admin.socket \"%s\" must be a path of 1 to %zu bytes", path,
                       sizeof address->sun_path - 1);
    }
    memcpy(address->sun_path, path, strlen(path) + 1);
    return true;
}

bool admin_socket_check(const char *path, struct err *err) {
    struct sockaddr_un address;
    return socket_make_address(path, &address, err);
}

/* Appends a line without its end. False: none in time, or ECONNRESET in errno: the other side
 * closed the connection before the end of the line. */
static bool socket_read_line(int fd, int64_t deadline_us, struct buffer *line, size_t max_bytes) {
    for (;;) {
        struct pollfd wait = {fd, POLLIN, 0};
        char bytes[4096];
        if (clock_poll(&wait, 1, deadline_us) <= 0) {
            errno = ETIMEDOUT;
            return false;
        }
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got <= 0) {
            errno = ECONNRESET;
            return false;
        }
        const char *end = memchr(bytes, '\n', (size_t)got);
        buffer_append(line, bytes, end ? (size_t)(end - bytes) : (size_t)got);
        if (end || line->len > max_bytes) {
            return end != NULL;
        }
    }
}

/* False: the other side left, or took nothing for ANSWER_TIMEOUT_MS. */
static bool socket_write_all(int fd, struct slice bytes) {
    while (bytes.len > 0) {
        struct pollfd wait = {fd, POLLOUT, 0};
        int64_t deadline_us = clock_monotonic_us() + ANSWER_TIMEOUT_MS * 1000LL;
        if (clock_poll(&wait, 1, deadline_us) <= 0) {
            errno = ETIMEDOUT;
            return false;
        }
        ssize_t written = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (written < 0 && errno != EINTR && errno != EAGAIN) {
            return false;
        }
        if (written > 0) {
            bytes.data += written;
            bytes.len -= (size_t)written;
        }
    }
    return true;
}

static bool socket_fail_late(const char *path, struct err *err) {
    return err_set(err, ERR_TIMEOUT, "the aggregator at %s did not answer in time", path);
}

/* A connected socket, or -1. ERR_TIMEOUT: a process listens, but takes no client. */
static int socket_connect_to(const char *path, int timeout_ms, struct err *err) {
    const struct timeval limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    struct sockaddr_un address;
    if (!socket_make_address(path, &address, err)) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 &&
        connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        return fd;
    }
    if (errno == EAGAIN) { /* the limit has passed */
        socket_fail_late(path, err);
    } else {
        err_set(err, ERR_UNAVAILABLE, "no aggregator answers at admin.socket %s: %s", path,
                strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

/* ---- the program's side -------------------------------------------------------------------- */

static struct slice socket_cut_word(struct slice *line) {
    const char *blank = memchr(line->data, ' ', line->len);
    size_t len = blank ? (size_t)(blank - line->data) : line->len;
    struct slice word = {line->data, len};
    line->data += len + (blank != NULL);
    line->len -= len + (blank != NULL);
    return word;
}

bool admin_words_split(struct slice line, struct admin_words *words) {
    *words = (struct admin_words){.verb = socket_cut_word(&line)};
    while (line.len > 0) {
        struct slice word = socket_cut_word(&line);
        const char *equals = memchr(word.data, '=', word.len);
        size_t name_len = equals ? (size_t)(equals - word.data) : 0;
        if (words->query_count == ADMIN_WORDS_MAX || words->param_count == ADMIN_WORDS_MAX) {
            return false;
        }
        if (equals) {
            words->query[words->query_count++] =
                (struct script_pair){{word.data, name_len}, {equals + 1, word.len - name_len - 1}};
        } else if (word.len > 0) {
            words->params[words->param_count++] = (struct script_pair){slice_of("word"), word};
        }
    }
    return true;
}

static const struct admin_verb *socket_find_verb(const struct admin_socket *admin,
                                                 struct slice name) {
    for (size_t i = 0; i < admin->verb_count; i++) {
        const char *known = admin->verbs[i].name;
        if (known && slice_equal(name, slice_of(known))) {
            return &admin->verbs[i];
        }
    }
    return NULL;
}

static void socket_answer_line(struct admin_socket *admin, struct slice line, struct buffer *json) {
    struct admin_words words;
    bool good = admin_words_split(line, &words);
    const struct admin_verb *verb = socket_find_verb(admin, words.verb);
    if (!good) {
        admin_fail(json, 400, slice_of("too many words: at most 8"));
    } else if (!verb) {
        admin_fail(json, 404, slice_of("unknown verb"));
    } else if (words.query_count > 0 && !verb->takes_query) {
        admin_fail(json, 400, slice_of(ADMIN_NO_QUERY));
    } else {
        struct admin_request request = {words.params, words.param_count, words.query,
                                        words.query_count};
        verb->answer(admin->context, &request, json);
    }
}

static void socket_send(int fd, struct buffer *json) {
    buffer_append_text(json, "\n");
    if (!socket_write_all(fd, buffer_slice(json))) {
        log_debug("admin client left, or did not read its response");
    }
    buffer_free(json);
}

/* A client that closed its socket; one that only has no more to send has not left. */
static bool socket_is_left(int fd) {
    struct pollfd client = {fd, 0, 0};
    return poll(&client, 1, 0) > 0 && (client.revents & (POLLHUP | POLLERR));
}

/* A client that gave up takes the command as failed, so it must not happen later. */
static void socket_skip(struct slice line) {
    struct slice verb = socket_cut_word(&line);
    log_warning("command not begun: its client left", LOG_SLICE("verb", verb));
}

static void socket_answer(struct admin_socket *admin, int fd) {
    struct buffer line = {0}, json = {0};
    int64_t deadline_us = clock_monotonic_us() + REQUEST_TIMEOUT_MS * 1000LL;
    if (socket_read_line(fd, deadline_us, &line, LINE_MAX_BYTES)) {
        buffer_append(&line, "", 0);
        if (socket_is_left(fd)) {
            socket_skip(buffer_slice(&line));
        } else {
            socket_answer_line(admin, buffer_slice(&line), &json);
            socket_send(fd, &json);
        }
    }
    buffer_free(&line);
}

struct client {
    struct admin_socket *admin;
    int fd;
};

static void *socket_serve(void *argument) {
    struct client client = *(struct client *)argument;
    struct admin_socket *admin = client.admin;
    free(argument);
    socket_answer(admin, client.fd);
    close(client.fd);
    pthread_mutex_lock(&admin->lock);
    admin->clients--;
    pthread_cond_signal(&admin->left);
    pthread_mutex_unlock(&admin->lock);
    return NULL;
}

/* Waits until there is room: most commands are short. False: none in time. */
static bool socket_enter(struct admin_socket *admin) {
    int64_t deadline_us = clock_monotonic_us() + ROOM_TIMEOUT_MS * 1000LL;
    int status = 0;
    pthread_mutex_lock(&admin->lock);
    while (admin->clients == CLIENTS_MAX && status == 0) {
        status = clock_condition_wait(&admin->left, &admin->lock, deadline_us);
    }
    bool room = admin->clients < CLIENTS_MAX;
    admin->clients += room;
    pthread_mutex_unlock(&admin->lock);
    return room;
}

static void socket_take_client(struct admin_socket *admin, int fd) {
    pthread_t thread;
    if (!socket_enter(admin)) {
        struct buffer json = {0};
        admin_fail(&json, 503, slice_of("16 commands are running: try again when one has ended"));
        socket_send(fd, &json);
        close(fd);
        return;
    }
    struct client *client = xcalloc(1, sizeof *client);
    *client = (struct client){admin, fd};
    if (pthread_create(&thread, NULL, socket_serve, client) == 0) {
        pthread_detach(thread);
    } else {
        socket_serve(client);
    }
}

/* Out of descriptors or memory: clients wait in the kernel's queue. Logs once until one is taken.
 */
static void socket_pause_accepting(const struct admin_socket *admin, int reason, bool *paused) {
    struct pollfd stop = {admin->stop_fd, POLLIN, 0};
    if (!*paused) {
        log_warning("admin socket cannot accept clients", LOG_TEXT("error", strerror(reason)));
    }
    *paused = true;
    poll(&stop, 1, ACCEPT_PAUSE_MS);
}

static void *socket_main(void *argument) {
    struct admin_socket *admin = argument;
    struct pollfd fds[2] = {{admin->listener, POLLIN, 0}, {admin->stop_fd, POLLIN, 0}};
    bool paused = false;
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            log_error("admin socket stopped because poll failed: restart to use commands",
                      LOG_TEXT("error", strerror(errno)));
            return NULL;
        }
        if (fds[1].revents) {
            return NULL;
        }
        int fd = accept4(admin->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            paused = false;
            socket_take_client(admin, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            socket_pause_accepting(admin, errno, &paused);
        } /* else another process took the client, or it has left */
    }
}

/* Removes a socket that nobody listens on. */
static bool socket_clear_path(const char *path, struct err *err) {
    struct err absent = {0};
    int fd = socket_connect_to(path, REQUEST_TIMEOUT_MS, &absent);
    if (fd >= 0) {
        close(fd);
    }
    if (fd >= 0 || absent.kind == ERR_TIMEOUT) {
        return err_set(err, ERR_INPUT,
                       "admin.socket %s is in use by another process: set ADMIN_SOCKET", path);
    }
    struct stat status;
    if (stat(path, &status) != 0) {
        return true;
    }
    if (!S_ISSOCK(status.st_mode)) {
        return err_set(err, ERR_INPUT,
                       "admin.socket %s is there already and no socket: remove it, or set "
                       "ADMIN_SOCKET",
                       path);
    }
    unlink(path);
    return true;
}

static bool socket_listen_at(struct admin_socket *admin, struct err *err) {
    struct sockaddr_un address;
    if (!socket_make_address(admin->path, &address, err) || !socket_clear_path(admin->path, err)) {
        return false;
    }
    admin->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (admin->listener < 0 ||
        bind(admin->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(admin->path, S_IRUSR | S_IWUSR) != 0 || listen(admin->listener, 8) != 0) {
        return err_set(err, ERR_INPUT, "cannot listen at admin.socket %s: %s", admin->path,
                       strerror(errno));
    }
    return true;
}

/* While two processes accept from it, the other may take a client first. */
static bool socket_unblock(const struct admin_socket *admin, struct err *err) {
    int flags = fcntl(admin->listener, F_GETFL), domain = 0, listens = 0;
    socklen_t len = sizeof domain;
    if (getsockopt(admin->listener, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0 ||
        getsockopt(admin->listener, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) != 0 ||
        domain != AF_UNIX || !listens) {
        return err_set(err, ERR_INPUT,
                       "the inherited socket for admin.socket is no listening Unix socket");
    }
    return (flags >= 0 && fcntl(admin->listener, F_SETFL, flags | O_NONBLOCK) == 0) ||
           err_set(err, ERR_INPUT, "the inherited socket for admin.socket cannot be used: %s",
                   strerror(errno));
}

/* A relative path counts from the working directory, which an upgrade keeps. */
static void socket_compare_path(const struct admin_socket *admin) {
    struct sockaddr_un address = {0};
    socklen_t len = sizeof address;
    if (getsockname(admin->listener, (struct sockaddr *)&address, &len) == 0 &&
        strncmp(address.sun_path, admin->path, sizeof address.sun_path) != 0) {
        log_warning("the inherited admin socket has another path than the configuration: commands "
                    "reach this process with --socket PATH",
                    LOG_TEXT("path", address.sun_path), LOG_TEXT("configured", admin->path));
    }
}

static void socket_free(struct admin_socket *admin) {
    if (admin->listener >= 0) {
        close(admin->listener);
    }
    if (admin->stop_fd >= 0) {
        close(admin->stop_fd);
    }
    pthread_cond_destroy(&admin->left);
    pthread_mutex_destroy(&admin->lock);
    free(admin->path);
    free(admin);
}

struct admin_socket *admin_socket_start(const struct admin_socket_options *options,
                                        struct err *err) {
    struct admin_socket *admin = xcalloc(1, sizeof *admin);
    bool inherits = options->listener > 0;
    *admin = (struct admin_socket){.listener = inherits ? options->listener : -1,
                                   .stop_fd = eventfd(0, EFD_CLOEXEC),
                                   .owns_path = !inherits || options->owns_path,
                                   .path = xstrdup(options->path),
                                   .verbs = options->verbs,
                                   .verb_count = options->verb_count,
                                   .context = options->context};
    pthread_mutex_init(&admin->lock, NULL);
    clock_condition_init(&admin->left);
    if (admin->stop_fd < 0) {
        err_set(err, ERR_INTERNAL, "cannot create an eventfd");
    } else if (inherits ? socket_unblock(admin, err) : socket_listen_at(admin, err)) {
        socket_compare_path(admin);
        if (pthread_create(&admin->thread, NULL, socket_main, admin) == 0) {
            return admin;
        }
        err_set(err, ERR_INTERNAL, "cannot start the admin thread");
    }
    socket_free(admin);
    return NULL;
}

int admin_socket_listener(const struct admin_socket *admin, bool *owns_path) {
    *owns_path = admin->owns_path;
    return admin->listener;
}

void admin_socket_close(struct admin_socket *admin, bool hands_over) {
    if (!admin || admin->closed) {
        return;
    }
    eventfd_write(admin->stop_fd, 1);
    pthread_join(admin->thread, NULL);
    if (admin->owns_path && !hands_over) {
        unlink(admin->path);
    }
    admin->closed = true;
}

/* False: some have not left by the deadline. */
static bool socket_await_clients(struct admin_socket *admin, int64_t deadline_us) {
    int status = 0;
    pthread_mutex_lock(&admin->lock);
    while (admin->clients > 0 && status == 0) {
        status = clock_condition_wait(&admin->left, &admin->lock, deadline_us);
    }
    bool all_left = admin->clients == 0;
    pthread_mutex_unlock(&admin->lock);
    return all_left;
}

bool admin_socket_stop(struct admin_socket *admin, int64_t deadline_us) {
    if (!admin) {
        return true;
    }
    admin_socket_close(admin, false);
    if (!socket_await_clients(admin, deadline_us)) {
        return false;
    }
    socket_free(admin);
    return true;
}

/* ---- the command's side -------------------------------------------------------------------- */

bool admin_misunderstand(const char *path, struct err *err) {
    return err_set(err, ERR_UNAVAILABLE,
                   "the program at %s gave an answer that this release does not understand: is it "
                   "of another release?",
                   path);
}

static bool socket_check_response(const char *path, struct slice response, struct err *err) {
    struct json_cursor cursor;
    struct json_value value;
    json_begin(&cursor, response);
    bool understood =
        json_read(&cursor, &value) && json_finish(&cursor) && value.type == JSON_OBJECT;
    return understood || admin_misunderstand(path, err);
}

static bool socket_fail_call(const char *path, int failure, struct err *err) {
    return failure == ETIMEDOUT
               ? socket_fail_late(path, err)
               : err_set(err, ERR_UNAVAILABLE,
                         "the aggregator at %s closed the connection without an answer: has it "
                         "just ended?",
                         path);
}

bool admin_call(const char *path, const char *line, int timeout_ms, struct buffer *response,
                struct err *err) {
    struct buffer request = {0};
    int connect_ms = timeout_ms < CONNECT_TIMEOUT_MS ? timeout_ms : CONNECT_TIMEOUT_MS;
    int fd = socket_connect_to(path, connect_ms, err);
    if (fd < 0) {
        return false;
    }
    buffer_append_format(&request, "%s\n", line);
    bool ok =
        socket_write_all(fd, buffer_slice(&request)) &&
        socket_read_line(fd, clock_monotonic_us() + timeout_ms * 1000LL, response, SIZE_MAX - 1);
    int failure = errno;
    close(fd);
    buffer_free(&request);
    return ok ? socket_check_response(path, buffer_slice(response), err)
              : socket_fail_call(path, failure, err);
}
