/* kafka_files: the files of a Kafka client's TLS. librdkafka reads them when it creates a client: a
 * client that a change concerns must be replaced. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kafka_settings.h"

struct kafka_files {
    char **paths; /* owned */
    size_t count;
    uint64_t stamp; /* when they were noted */
};

/* Notes the present state of the files that the options name. Before the client is created: a later
 * change counts as one. */
void kafka_files_note(struct kafka_files *files, const struct kafka_settings *settings);
bool kafka_files_changed(const struct kafka_files *files);
void kafka_files_free(struct kafka_files *files);
