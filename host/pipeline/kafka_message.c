#include "kafka_message.h"

#include "base/traceparent.h"

struct message kafka_message_of_partition(const struct kafka_message *record, size_t partition) {
    return (struct message){
        .partition = partition,
        .offset = record->offset,
        .broker_time_us = record->time_us,
        .payload = record->value,
        .traceparent = traceparent_read(kafka_message_header(record, "traceparent")),
        .owner = record->owner,
    };
}
