/* kafka_message: records of a Kafka client as a pipeline's messages. */
#ifndef AGG_HOST_PIPELINE_KAFKA_MESSAGE_H
#define AGG_HOST_PIPELINE_KAFKA_MESSAGE_H

#include "bindings/kafka_consumer.h"
#include "pipeline.h"

/* The record as a message of that partition, an index of the pipeline's. It owns the record from
 * now on: the pipeline's release function for it is kafka_message_release. */
struct message kafka_message_of_partition(const struct kafka_message *record, size_t partition);

#endif
