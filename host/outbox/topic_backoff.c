#include "topic_backoff.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/xalloc.h"

#define FIRST_US 1000000
#define LONGEST_US 30000000

static struct topic_backoff *topic_backoff_find(struct topic_backoffs *backoffs,
                                                const char *topic) {
    for (size_t i = 0; i < backoffs->count; i++) {
        if (strcmp(backoffs->items[i].topic, topic) == 0) {
            return &backoffs->items[i];
        }
    }
    return NULL;
}

static void topic_backoff_remove(struct topic_backoffs *backoffs, struct topic_backoff *backoff) {
    free(backoff->topic);
    *backoff = backoffs->items[--backoffs->count];
}

static struct topic_backoff *topic_backoff_add(struct topic_backoffs *backoffs, const char *topic) {
    if (backoffs->count == BACKOFF_TOPICS_MAX) {
        struct topic_backoff *last = &backoffs->items[0];
        for (size_t i = 1; i < backoffs->count; i++) {
            last = backoffs->items[i].until_us > last->until_us ? &backoffs->items[i] : last;
        }
        topic_backoff_remove(backoffs, last);
    }
    struct topic_backoff *backoff = &backoffs->items[backoffs->count++];
    *backoff = (struct topic_backoff){.topic = xstrdup(topic)};
    return backoff;
}

void topic_backoff_begin(struct topic_backoffs *backoffs, const char *topic, int64_t now_us,
                         const char *reason) {
    struct topic_backoff *backoff = topic_backoff_find(backoffs, topic);
    if (!backoff) {
        log_error(
            "Kafka refuses messages for a topic; they stay pending: create the topic, or allow "
            "this user to write to it",
            LOG_TEXT("topic", topic), LOG_TEXT("error", reason));
        backoff = topic_backoff_add(backoffs, topic);
    } else if (backoff->until_us > now_us) {
        return; /* another message of the same attempt */
    }
    backoff->length_us = backoff->length_us ? backoff->length_us * 2 : FIRST_US;
    backoff->length_us = backoff->length_us < LONGEST_US ? backoff->length_us : LONGEST_US;
    backoff->until_us = now_us + backoff->length_us;
}

void topic_backoff_end(struct topic_backoffs *backoffs, const char *topic) {
    struct topic_backoff *backoff = topic_backoff_find(backoffs, topic);
    if (backoff) {
        log_info("Kafka accepts messages for a topic again", LOG_TEXT("topic", topic));
        topic_backoff_remove(backoffs, backoff);
    }
}

size_t topic_backoff_list(const struct topic_backoffs *backoffs, int64_t now_us,
                          const char *topics[BACKOFF_TOPICS_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < backoffs->count; i++) {
        if (backoffs->items[i].until_us > now_us) {
            topics[count++] = backoffs->items[i].topic;
        }
    }
    return count;
}

void topic_backoff_free(struct topic_backoffs *backoffs) {
    while (backoffs->count > 0) {
        topic_backoff_remove(backoffs, &backoffs->items[0]);
    }
}
