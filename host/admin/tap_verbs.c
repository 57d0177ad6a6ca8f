#include "tap_verbs.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/json_put.h"
#include "base/log.h"
#include "base/subprocess.h"
#include "base/xalloc.h"
#include "verbs.h"

#define TIMEOUT_MS 300000
#define LINE_MAX_BYTES (4 * 1024 * 1024)
#define ANSWER_EVENTS 200
#define ARGUMENTS_MAX 6

struct admin_tap {
    const char *config_path;
    pthread_mutex_t change; /* the thread that starts or stops a child holds it; before `lock` */
    pthread_t thread;
    bool started;                       /* the thread is to be joined; under `change` */
    int stop_fd;                        /* an eventfd: readable once the child has to end */
    char *arguments[ARGUMENTS_MAX + 1]; /* of the child; owned */

    pthread_mutex_t lock; /* guards all that follows */
    bool running;
    int64_t number;               /* of the tap, from 1 */
    char *lines[TAP_EVENTS_KEPT]; /* a ring: event n is at n % TAP_EVENTS_KEPT; NULL: dropped */
    int64_t first, last;          /* numbers of the events kept, over all taps */
    size_t bytes;                 /* of the lines */
    char *ended;                  /* why it ended; NULL: it runs, or was stopped */
};

struct admin_tap *admin_tap_create(const char *config_path) {
    struct admin_tap *tap = xcalloc(1, sizeof *tap);
    tap->config_path = config_path;
    tap->stop_fd = -1;
    tap->first = 1;
    pthread_mutex_init(&tap->change, NULL);
    pthread_mutex_init(&tap->lock, NULL);
    return tap;
}

/* ---- the events ---------------------------------------------------------------------------- */

static void tap_drop_first(struct admin_tap *tap) {
    char **line = &tap->lines[tap->first % TAP_EVENTS_KEPT];
    tap->bytes -= strlen(*line);
    free(*line);
    *line = NULL;
    tap->first++;
}

static void tap_keep_line(struct admin_tap *tap, struct slice line) {
    pthread_mutex_lock(&tap->lock);
    while (tap->first <= tap->last && (tap->last - tap->first + 1 == TAP_EVENTS_KEPT ||
                                       tap->bytes + line.len > TAP_BYTES_KEPT)) {
        tap_drop_first(tap);
    }
    tap->lines[++tap->last % TAP_EVENTS_KEPT] = xstrndup(line.data, line.len);
    tap->bytes += line.len;
    pthread_mutex_unlock(&tap->lock);
}

/* Takes the whole lines of the child's output. */
static void tap_take_output(void *context, struct buffer *output) {
    struct slice rest = buffer_slice(output);
    const char *feed;
    if (rest.len == 0) {
        return; /* end of file; the buffer may have no data */
    }
    while (rest.len > 0 && (feed = memchr(rest.data, '\n', rest.len))) {
        size_t len = (size_t)(feed - rest.data);
        tap_keep_line(context, (struct slice){rest.data, len});
        rest = (struct slice){feed + 1, rest.len - len - 1};
    }
    memmove(output->data, rest.data, rest.len);
    output->len = rest.len;
}

static void tap_forget_events(struct admin_tap *tap) {
    while (tap->first <= tap->last) {
        tap_drop_first(tap);
    }
}

/* ---- the child ----------------------------------------------------------------------------- */

static void tap_note_end(struct admin_tap *tap, const char *why) {
    pthread_mutex_lock(&tap->lock);
    tap->running = false;
    tap->ended = xstrdup(why);
    pthread_mutex_unlock(&tap->lock);
}

static void *tap_main(void *context) {
    struct admin_tap *tap = context;
    struct subprocess_options options = {
        .arguments = (const char *const *)tap->arguments,
        .timeout_ms = TIMEOUT_MS,
        .stop_fd = tap->stop_fd,
        .output_max_bytes = LINE_MAX_BYTES,
        .take_output = tap_take_output,
        .context = tap,
    };
    struct buffer output = {0}, errors = {0};
    struct err err = {0};
    int status = 0;
    if (!subprocess_run(&options, &output, &errors, &status, &err)) {
        tap_note_end(tap, err.kind == ERR_TIMEOUT ? "it ended after five minutes" : err.text);
    } else {
        tap_note_end(tap, status == 0 ? "it ended" : admin_child_error(&errors));
    }
    buffer_free(&output);
    buffer_free(&errors);
    return NULL;
}

/* Under `change`. */
static void tap_end_child(struct admin_tap *tap) {
    if (tap->started) {
        eventfd_write(tap->stop_fd, 1);
        pthread_join(tap->thread, NULL);
        close(tap->stop_fd);
        tap->stop_fd = -1;
        tap->started = false;
    }
    for (size_t i = 0; tap->arguments[i]; i++) {
        free(tap->arguments[i]);
        tap->arguments[i] = NULL;
    }
    pthread_mutex_lock(&tap->lock);
    free(tap->ended);
    tap->ended = NULL;
    pthread_mutex_unlock(&tap->lock);
}

void admin_tap_destroy(struct admin_tap *tap) {
    if (tap) {
        tap_end_child(tap);
        tap_forget_events(tap);
        pthread_mutex_destroy(&tap->lock);
        pthread_mutex_destroy(&tap->change);
        free(tap);
    }
}

/* "--name=value": a value that begins as an option does stays a value. NULL: no value. */
static char *tap_option(const char *name, struct slice value) {
    struct buffer text = {0};
    if (value.len > 0) {
        buffer_append_format(&text, "--%s=%.*s", name, (int)value.len, value.data);
    }
    return text.data;
}

static void tap_set_arguments(struct admin_tap *tap, struct slice topic, struct slice contains) {
    const char *const first[] = {"tap", "--config", tap->config_path, "--json"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        tap->arguments[count++] = xstrdup(first[i]);
    }
    char *options[] = {tap_option("topic", topic), tap_option("contains", contains)};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (options[i]) {
            tap->arguments[count++] = options[i];
        }
    }
}

/* Under `change`. */
static bool tap_start_child(struct admin_tap *tap, struct err *err) {
    tap->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (tap->stop_fd < 0) {
        return err_set(err, ERR_INTERNAL, "cannot create an eventfd: %s", strerror(errno));
    }
    pthread_mutex_lock(&tap->lock);
    tap_forget_events(tap);
    tap->running = true;
    tap->number++;
    pthread_mutex_unlock(&tap->lock);
    int failure = pthread_create(&tap->thread, NULL, tap_main, tap);
    tap->started = failure == 0;
    if (failure != 0) {
        close(tap->stop_fd);
        tap->stop_fd = -1;
        pthread_mutex_lock(&tap->lock);
        tap->running = false;
        pthread_mutex_unlock(&tap->lock);
        return err_set(err, ERR_INTERNAL, "cannot start a thread: %s", strerror(failure));
    }
    return true;
}

/* ---- the verbs ----------------------------------------------------------------------------- */

static struct admin_tap *tap_of(void *context) {
    return ((struct admin_context *)context)->tap;
}

static bool tap_is_running(struct admin_tap *tap) {
    pthread_mutex_lock(&tap->lock);
    bool running = tap->running;
    pthread_mutex_unlock(&tap->lock);
    return running;
}

/* Appends what is kept behind number `after`. */
static void tap_put_state(struct admin_tap *tap, int64_t after, struct buffer *json) {
    pthread_mutex_lock(&tap->lock);
    int64_t from = after < tap->last ? after + 1 : tap->last + 1;
    from = from > tap->first ? from : tap->first;
    int64_t to = from + ANSWER_EVENTS - 1 < tap->last ? from + ANSWER_EVENTS - 1 : tap->last;
    buffer_append_text(json, "{");
    json_put_int(json, "tap", tap->number);
    json_put_bool(json, "running", tap->running);
    json_put_text(json, "ended", slice_of(tap->ended));
    json_put_int(json, "first", from);
    json_put_int(json, "last", to < from ? from - 1 : to);
    json_open(json, "events", "[");
    for (int64_t n = from; n <= to; n++) {
        json_put_name(json, NULL);
        buffer_append_text(json, tap->lines[n % TAP_EVENTS_KEPT]);
    }
    buffer_append_text(json, "]}");
    pthread_mutex_unlock(&tap->lock);
}

int tap_verbs_start(void *context, const struct admin_request *request, struct buffer *json) {
    struct admin_tap *tap = tap_of(context);
    struct slice topic = slice_of(""), contains = slice_of("");
    struct err err = {0};
    for (size_t i = 0; i < request->query_count; i++) {
        const struct script_pair *pair = &request->query[i];
        if (slice_equal(pair->name, slice_of("topic"))) {
            topic = pair->value;
        } else if (slice_equal(pair->name, slice_of("contains"))) {
            contains = pair->value;
        } else {
            return admin_fail(json, 400, slice_of("unknown parameter: send topic or contains"));
        }
    }
    pthread_mutex_lock(&tap->change);
    if (tap_is_running(tap)) {
        log_info("a new tap ended the one that ran");
    }
    tap_end_child(tap);
    tap_set_arguments(tap, topic, contains);
    bool started = tap_start_child(tap, &err);
    pthread_mutex_unlock(&tap->change);
    if (!started) {
        return admin_fail(json, 500, slice_of(err.text));
    }
    tap_put_state(tap, INT64_MAX, json);
    return 200;
}

int tap_verbs_read(void *context, const struct admin_request *request, struct buffer *json) {
    int64_t after = 0;
    if (request->query_count > 1 ||
        (request->query_count == 1 &&
         (!slice_equal(request->query[0].name, slice_of("after")) ||
          !admin_read_number(request->query[0].value, 0, INT64_MAX, &after)))) {
        return admin_fail(json, 400, slice_of("a tap is read with after=N only"));
    }
    tap_put_state(tap_of(context), after, json);
    return 200;
}

int tap_verbs_stop(void *context, const struct admin_request *request, struct buffer *json) {
    struct admin_tap *tap = tap_of(context);
    (void)request;
    pthread_mutex_lock(&tap->change);
    tap_end_child(tap);
    pthread_mutex_unlock(&tap->change);
    tap_put_state(tap, INT64_MAX, json);
    return 200;
}
