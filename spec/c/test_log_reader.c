/* Where the reader of the log waits. */
#include "rebuild/log_reader.h"

#include "test.h"

static struct log_partition partitions[] = {
    {.topic = (char *)"read", .number = 2, .position = 9, .until = 9},
    {.topic = (char *)"waits", .number = 7, .position = 41, .until = 50},
};
static const struct log_reader reader = {.partitions = partitions, .count = 2};
static const struct log_reader finished = {.partitions = partitions, .count = 1};

static void names_the_partition_that_kafka_does_not_send(void) {
    struct err err = {0};
    CHECK(log_reader_waits_for(&reader) == &partitions[1]);
    CHECK(!log_reader_fail_silent(&reader, 60, &err));
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    CHECK_TEXT(err.text, "Kafka has sent nothing for 60 s: reading waits at offset 41 of waits "
                         "[7], which ends at 50; check that its leader is available");
}

static void names_none_if_all_are_read(void) {
    struct err err = {0};
    CHECK(log_reader_waits_for(&finished) == NULL);
    CHECK(!log_reader_fail_silent(&finished, 30, &err));
    CHECK_TEXT(err.text, "Kafka has sent nothing for 30 s");
}

static const struct test_case cases[] = {
    {"names the partition that Kafka does not send", names_the_partition_that_kafka_does_not_send},
    {"names none if all are read", names_none_if_all_are_read},
};

TEST_MAIN(cases)
