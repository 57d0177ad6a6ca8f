/* tap: reads Kafka outside the consumer group and prints each event as its handler gets it, and
 * records of topics that no handler declares as they are. Moves no offset; one thread. */
#pragma once

#include "config/config.h"

struct tap_options {
    const struct config *config;
    const char *const *topics; /* count 0: all that handlers declare */
    size_t topic_count;
    const char *needles[2]; /* texts that the value must contain; NULL: none */
    int64_t limit;          /* events to print; 0: no limit */
    bool from_beginning;
    bool json;
    const char *record; /* the file that gets the shown records too; NULL: none */
};

/* Until the limit, SIGINT or SIGTERM. False: err; ERR_INPUT for a topic that Kafka lacks, and a
 * file that cannot be opened. */
bool tap_run(const struct tap_options *options, struct err *err);
