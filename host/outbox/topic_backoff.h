/* topic_backoff: topics that Kafka does not accept messages for. The relay skips each until a time
 * that grows with every failure. One thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BACKOFF_TOPICS_MAX 64 /* above it the topic with the latest time is dropped */

struct topic_backoff {
    char *topic;
    int64_t until_us;
    int64_t length_us;
};

struct topic_backoffs {
    struct topic_backoff items[BACKOFF_TOPICS_MAX];
    size_t count;
};

/* The topic failed. No effect while it is backed off. Logs the first failure of several. */
void topic_backoff_begin(struct topic_backoffs *backoffs, const char *topic, int64_t now_us,
                         const char *reason);
/* Kafka accepted a message for the topic. */
void topic_backoff_end(struct topic_backoffs *backoffs, const char *topic);
/* Fills in the topics to skip at this time; returns their number. Borrowed until the next change.
 */
size_t topic_backoff_list(const struct topic_backoffs *backoffs, int64_t now_us,
                          const char *topics[BACKOFF_TOPICS_MAX]);
void topic_backoff_free(struct topic_backoffs *backoffs);
