/* moved: a group coordinator that came back under another address. librdkafka 2.0 follows it where
 * another broker becomes the coordinator, but a broker that keeps its number only if it answers
 * once that it is none: else the client goes on to call the old address. So the address that fails
 * is held against what the cluster says. */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "worker.h"

#define ASK_TIMEOUT_MS 1000
#define COORDINATOR "GroupCoordinator: " /* how the client names it before its address */

void coordinator_forget(struct worker *worker) {
    free(worker->coordinator.brokers);
    worker->coordinator = (struct coordinator){0};
}

void coordinator_note_error(struct worker *worker, const char *reason) {
    struct coordinator *coordinator = &worker->coordinator;
    const char *address = reason + strlen(COORDINATOR);
    if (strncmp(reason, COORDINATOR, strlen(COORDINATOR)) != 0) {
        return;
    }
    size_t len = strcspn(address, " ");
    if (len > 1 && address[len - 1] == ':' && len <= sizeof coordinator->failed) {
        memcpy(coordinator->failed, address, len - 1);
        coordinator->failed[len - 1] = '\0';
    }
}

static struct kafka_broker *coordinator_find_broker(struct coordinator *coordinator, int32_t id) {
    for (size_t i = 0; i < coordinator->count; i++) {
        if (coordinator->brokers[i].id == id) {
            return &coordinator->brokers[i];
        }
    }
    return NULL;
}

/* A broker that the cluster does not name now may come back. */
static void coordinator_remember_broker(struct coordinator *coordinator,
                                        const struct kafka_broker *now) {
    struct kafka_broker *known = coordinator_find_broker(coordinator, now->id);
    if (!known) {
        coordinator->brokers =
            xrealloc(coordinator->brokers, (coordinator->count + 1) * sizeof *coordinator->brokers);
        known = &coordinator->brokers[coordinator->count++];
    }
    *known = *now;
}

/* Whether the broker that had the address that fails has another one now. */
static bool coordinator_take_brokers(struct coordinator *coordinator,
                                     const struct kafka_broker *brokers, size_t count) {
    bool has_moved = false;
    for (size_t i = 0; i < count; i++) {
        const struct kafka_broker *now = &brokers[i];
        const struct kafka_broker *before = coordinator_find_broker(coordinator, now->id);
        if (before && strcmp(before->address, coordinator->failed) == 0) {
            has_moved = strcmp(now->address, coordinator->failed) != 0;
            coordinator->failed[0] = '\0';
        }
        coordinator_remember_broker(coordinator, now);
    }
    return has_moved;
}

bool coordinator_has_moved(struct worker *worker) {
    struct coordinator *coordinator = &worker->coordinator;
    size_t count = 0;
    if (coordinator->count > 0 && !coordinator->failed[0]) {
        return false;
    }
    struct kafka_broker *brokers = kafka_consumer_brokers(worker->kafka, ASK_TIMEOUT_MS, &count);
    bool has_moved = brokers && coordinator_take_brokers(coordinator, brokers, count);
    free(brokers);
    return has_moved;
}
