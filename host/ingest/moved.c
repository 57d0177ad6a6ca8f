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

void moved_forget(struct worker *worker) {
    free(worker->moved.brokers);
    worker->moved = (struct moved){0};
}

void moved_note(struct worker *worker, const char *reason) {
    struct moved *moved = &worker->moved;
    const char *address = reason + strlen(COORDINATOR);
    if (strncmp(reason, COORDINATOR, strlen(COORDINATOR)) != 0) {
        return;
    }
    size_t len = strcspn(address, " ");
    if (len > 1 && address[len - 1] == ':' && len <= sizeof moved->failed) {
        memcpy(moved->failed, address, len - 1);
        moved->failed[len - 1] = '\0';
    }
}

static struct kafka_broker *moved_find_broker(struct moved *moved, int32_t id) {
    for (size_t i = 0; i < moved->count; i++) {
        if (moved->brokers[i].id == id) {
            return &moved->brokers[i];
        }
    }
    return NULL;
}

/* A broker that the cluster does not name now may come back. */
static void moved_remember(struct moved *moved, const struct kafka_broker *now) {
    struct kafka_broker *known = moved_find_broker(moved, now->id);
    if (!known) {
        moved->brokers = xrealloc(moved->brokers, (moved->count + 1) * sizeof *moved->brokers);
        known = &moved->brokers[moved->count++];
    }
    *known = *now;
}

/* Whether the broker that had the address that fails has another one now. */
static bool moved_take_brokers(struct moved *moved, const struct kafka_broker *brokers,
                               size_t count) {
    bool has_moved = false;
    for (size_t i = 0; i < count; i++) {
        const struct kafka_broker *now = &brokers[i];
        const struct kafka_broker *before = moved_find_broker(moved, now->id);
        if (before && strcmp(before->address, moved->failed) == 0) {
            has_moved = strcmp(now->address, moved->failed) != 0;
            moved->failed[0] = '\0';
        }
        moved_remember(moved, now);
    }
    return has_moved;
}

bool moved_look(struct worker *worker) {
    struct moved *moved = &worker->moved;
    size_t count = 0;
    if (moved->count > 0 && !moved->failed[0]) {
        return false;
    }
    struct kafka_broker *brokers = kafka_consumer_brokers(worker->kafka, ASK_TIMEOUT_MS, &count);
    bool has_moved = brokers && moved_take_brokers(moved, brokers, count);
    free(brokers);
    return has_moved;
}
