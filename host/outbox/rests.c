#include "rests.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/xalloc.h"

#define FIRST_US 1000000
#define LONGEST_US 30000000

static struct rest *rests_find_rest(struct rests *rests, const char *topic) {
    for (size_t i = 0; i < rests->count; i++) {
        if (strcmp(rests->items[i].topic, topic) == 0) {
            return &rests->items[i];
        }
    }
    return NULL;
}

static void rests_remove_rest(struct rests *rests, struct rest *rest) {
    free(rest->topic);
    *rest = rests->items[--rests->count];
}

static struct rest *rests_add_rest(struct rests *rests, const char *topic) {
    if (rests->count == RESTS_MAX) {
        struct rest *last = &rests->items[0];
        for (size_t i = 1; i < rests->count; i++) {
            last = rests->items[i].until_us > last->until_us ? &rests->items[i] : last;
        }
        rests_remove_rest(rests, last);
    }
    struct rest *rest = &rests->items[rests->count++];
    *rest = (struct rest){.topic = xstrdup(topic)};
    return rest;
}

void rests_begin(struct rests *rests, const char *topic, int64_t now_us, const char *reason) {
    struct rest *rest = rests_find_rest(rests, topic);
    if (!rest) {
        log_error("Kafka takes no messages for a topic: they wait, those of other topics go on; "
                  "make the topic, or let this user write to it",
                  LOG_TEXT("topic", topic), LOG_TEXT("error", reason));
        rest = rests_add_rest(rests, topic);
    } else if (rest->until_us > now_us) {
        return; /* another message of the same attempt */
    }
    rest->length_us = rest->length_us ? rest->length_us * 2 : FIRST_US;
    rest->length_us = rest->length_us < LONGEST_US ? rest->length_us : LONGEST_US;
    rest->until_us = now_us + rest->length_us;
}

void rests_end(struct rests *rests, const char *topic) {
    struct rest *rest = rests_find_rest(rests, topic);
    if (rest) {
        log_info("Kafka takes messages for the topic again", LOG_TEXT("topic", topic));
        rests_remove_rest(rests, rest);
    }
}

size_t rests_topics(const struct rests *rests, int64_t now_us, const char *topics[RESTS_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < rests->count; i++) {
        if (rests->items[i].until_us > now_us) {
            topics[count++] = rests->items[i].topic;
        }
    }
    return count;
}

void rests_free(struct rests *rests) {
    while (rests->count > 0) {
        rests_remove_rest(rests, &rests->items[0]);
    }
}
