/* coordinator: detects a group coordinator that restarted under a new address. librdkafka 2.0 keeps
 * the old address if the broker keeps its id, so the unreachable address is compared with the
 * cluster's metadata. */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "worker.h"

#define ASK_TIMEOUT_MS 1000
#define COORDINATOR "GroupCoordinator: " /* precedes its address in librdkafka's error texts */

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

/* Keeps brokers that the metadata lacks now: they may return. True: the broker with the unreachable
 * address has another one. */
static bool coordinator_take_brokers(struct coordinator *coordinator,
                                     const struct kafka_broker *brokers, size_t count) {
    bool has_moved = false;
    for (size_t i = 0; i < count; i++) {
        struct kafka_broker *known = coordinator_find_broker(coordinator, brokers[i].id);
        if (!known) {
            size_t bytes = (coordinator->count + 1) * sizeof *coordinator->brokers;
            coordinator->brokers = xrealloc(coordinator->brokers, bytes);
            known = &coordinator->brokers[coordinator->count++];
        } else if (strcmp(known->address, coordinator->failed) == 0) {
            has_moved = strcmp(brokers[i].address, coordinator->failed) != 0;
            coordinator->failed[0] = '\0';
        }
        *known = brokers[i];
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
