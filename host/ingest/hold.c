/* hold: keeps a worker out of the consumer group, while another process has its partitions. */
#include "base/log.h"
#include "worker.h"

/* The next member, or this one later, reads again what was not sent. */
static void hold_leave(struct worker *worker) {
    worker_drain(worker);
    consumer_close(worker);
    atomic_store(&worker->joined, false);
    atomic_store(&worker->subscribed, false);
}

static void hold_join(struct worker *worker) {
    struct err err = {0};
    bool ok = worker->kafka ? consumer_subscribe(worker, &err) : consumer_open(worker, &err);
    if (!ok) {
        log_error("cannot join the consumer group", LOG_INT("worker", worker->number),
                  LOG_TEXT("error", err.text));
        atomic_store(&worker->subscribed, true); /* the new client is */
        reopen_ask(worker, REOPEN_TOPICS);
    }
}

void hold_turn(struct worker *worker) {
    bool held = atomic_load(&worker->held), subscribed = atomic_load(&worker->subscribed);
    if (held && subscribed) {
        hold_leave(worker);
    } else if (!held && !subscribed && worker->reopen.reason == REOPEN_NONE) {
        hold_join(worker);
    }
}
