#include "upgrade.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "bindings/service_manager.h"

#define TAKE_TIMEOUT_US 30000000 /* from go to took: the new process joins the group */
#define INIT_PID 1

struct upgrade {
    struct upgrade_options options;
    int done_fd;
    pthread_mutex_t lock;
    bool under_way; /* under the lock */
};

/* An upgrade under way, owned by its thread. */
struct attempt {
    struct successor successor;
    struct channel_message ready;
    int64_t began_us;
    bool prepared; /* options.before was called */
};

struct upgrade *upgrade_create(const struct upgrade_options *options) {
    struct upgrade *upgrade = xcalloc(1, sizeof *upgrade);
    upgrade->options = *options;
    upgrade->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); /* -1: poll(2) ignores it */
    pthread_mutex_init(&upgrade->lock, NULL);
    return upgrade;
}

void upgrade_destroy(struct upgrade *upgrade) {
    if (upgrade) {
        if (upgrade->done_fd >= 0) {
            close(upgrade->done_fd);
        }
        pthread_mutex_destroy(&upgrade->lock);
        free(upgrade);
    }
}

int upgrade_fd(const struct upgrade *upgrade) {
    return upgrade->done_fd;
}

bool upgrade_is_under_way(struct upgrade *upgrade) {
    pthread_mutex_lock(&upgrade->lock);
    bool under_way = upgrade->under_way;
    pthread_mutex_unlock(&upgrade->lock);
    return under_way;
}

static bool upgrade_begin(struct upgrade *upgrade, struct err *err) {
    if (getpid() == INIT_PID) {
        return err_set(err, ERR_INPUT,
                       "this process is the first of its container, which ends with it: replace "
                       "the container instead");
    }
    pthread_mutex_lock(&upgrade->lock);
    bool free_now = !upgrade->under_way;
    upgrade->under_way = true;
    pthread_mutex_unlock(&upgrade->lock);
    return free_now || err_set(err, ERR_CONFLICT, "another upgrade is under way");
}

static void upgrade_end(struct upgrade *upgrade) {
    pthread_mutex_lock(&upgrade->lock);
    upgrade->under_way = false;
    pthread_mutex_unlock(&upgrade->lock);
}

static bool upgrade_start(const struct upgrade *upgrade, struct attempt *attempt, struct err *err) {
    const struct upgrade_options *options = &upgrade->options;
    struct successor_start start = {.argv = options->argv,
                                    .needs_kafka = options->consumes(options->context)};
    start.socket_count = options->sockets(options->context, start.sockets);
    if (!successor_start(&attempt->successor, &start, err)) {
        return false;
    }
    log_info("a new process was started to take over", LOG_TEXT("program", options->argv[0]),
             LOG_INT("pid", (int64_t)attempt->successor.pid));
    int64_t deadline_us = attempt->began_us + options->timeout_ms * 1000LL;
    return successor_await(&attempt->successor, CHANNEL_READY, options->stop_fd, deadline_us,
                           &attempt->ready, err);
}

static bool upgrade_hand_over(const struct upgrade *upgrade, struct attempt *attempt,
                              struct err *err) {
    const struct upgrade_options *options = &upgrade->options;
    const struct successor *successor = &attempt->successor;
    struct channel_message took;
    attempt->prepared = true;
    options->before(options->context);
    (void)channel_send(successor->channel, CHANNEL_GO, ""); /* the wait finds that it has ended */
    if (!successor_await(successor, CHANNEL_TOOK, options->stop_fd,
                         clock_monotonic_us() + TAKE_TIMEOUT_US, &took, err)) {
        return false;
    }
    service_manager_tell_main(successor->pid);
    options->handed_over(options->context);
    (void)channel_send(successor->channel, CHANNEL_MAIN, "");
    return true;
}

static void upgrade_report_failure(const struct err *err, struct buffer *json) {
    log_error("the upgrade failed: this process goes on", LOG_TEXT("error", err->text));
    buffer_append_text(json, "{");
    json_put_bool(json, "done", false);
    json_put_text(json, "error", slice_of(err->text));
    buffer_append_text(json, "}");
}

static void upgrade_report_success(const struct attempt *attempt, struct buffer *json) {
    int64_t took_ms = (clock_monotonic_us() - attempt->began_us) / 1000;
    log_info("the new process took over: this one drains",
             LOG_INT("pid", (int64_t)attempt->successor.pid),
             LOG_TEXT("version", attempt->ready.text), LOG_INT("took_ms", took_ms));
    buffer_append_text(json, "{");
    json_put_bool(json, "done", true);
    json_put_int(json, "pid", (int64_t)attempt->successor.pid);
    json_put_text(json, "version", slice_of(attempt->ready.text));
    json_put_text(json, "version_before", slice_of(AGGREGATOR_VERSION));
    json_put_int(json, "took_ms", took_ms);
    buffer_append_text(json, "}");
}

bool upgrade_run(struct upgrade *upgrade, struct buffer *json) {
    struct attempt attempt = {.successor = {-1, -1, -1}, .began_us = clock_monotonic_us()};
    struct err err = {0};
    if (!upgrade_begin(upgrade, &err)) {
        upgrade_report_failure(&err, json);
        return false;
    }
    bool done =
        upgrade_start(upgrade, &attempt, &err) && upgrade_hand_over(upgrade, &attempt, &err);
    if (done) {
        upgrade_report_success(&attempt, json);
        eventfd_write(upgrade->done_fd, 1);
    } else {
        successor_end(&attempt.successor);
        if (attempt.prepared) {
            upgrade->options.undo(upgrade->options.context);
        }
        upgrade_report_failure(&err, json);
        upgrade_end(upgrade);
    }
    successor_close(&attempt.successor);
    return done;
}
