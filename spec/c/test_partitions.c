/* partitions: finding partitions by topic and number while others come and go. */
#include "pipeline/partitions.h"

#include <stdio.h>

#include "test.h"

#define TOPICS 50
#define NUMBERS 40

static struct partitions partitions;

static const char *topic_of(int topic) {
    static char name[32];
    snprintf(name, sizeof name, "topic.%d.v1", topic);
    return name;
}

static void add_all(void) {
    for (int topic = 0; topic < TOPICS; topic++) {
        for (int32_t number = 0; number < NUMBERS; number++) {
            partitions_add(&partitions, topic_of(topic), number);
        }
    }
}

/* The partition that is found is the one that was asked for. */
static bool has(int topic, int32_t number) {
    size_t at = partitions_find(&partitions, topic_of(topic), number);
    if (at == PARTITION_NONE) {
        return false;
    }
    CHECK(at < partitions.count);
    CHECK_TEXT(partitions.items[at].topic, topic_of(topic));
    CHECK_INT(partitions.items[at].number, number);
    return true;
}

static void each_of_many_is_found(void) {
    CHECK(!has(0, 0));
    add_all();
    CHECK_INT(partitions.count, TOPICS * NUMBERS);
    for (int topic = TOPICS - 1; topic >= 0; topic--) {
        for (int32_t number = 0; number < NUMBERS; number++) {
            CHECK(has(topic, number));
        }
    }
    CHECK(!has(TOPICS, 0) && !has(0, NUMBERS) && !has(0, -1));
    partitions_clear(&partitions);
    CHECK(!has(0, 0));
}

static void the_rest_is_found_after_others_were_removed(void) {
    add_all();
    for (int topic = 0; topic < TOPICS; topic++) {
        for (int32_t number = topic % 2; number < NUMBERS; number += 2) {
            partitions_remove(&partitions, topic_of(topic), number);
            partitions_remove(&partitions, topic_of(topic), number); /* it is not there */
        }
    }
    CHECK_INT(partitions.count, TOPICS * NUMBERS / 2);
    for (int topic = 0; topic < TOPICS; topic++) {
        for (int32_t number = 0; number < NUMBERS; number++) {
            CHECK_INT(has(topic, number), number % 2 != topic % 2);
        }
    }
    partitions_clear(&partitions);
}

/* Slots of removed partitions are used again, so the table does not fill up. */
static void partitions_come_and_go_without_end(void) {
    partitions_add(&partitions, "stays", 0);
    for (int32_t i = 0; i < 10000; i++) {
        partitions_add(&partitions, "moves", i);
        CHECK_INT(partitions_find(&partitions, "moves", i), 1);
        partitions_remove(&partitions, "moves", i);
        CHECK_INT(partitions_find(&partitions, "stays", 0), 0);
    }
    CHECK(partitions.slot_count <= 64);
    partitions_remove(&partitions, "stays", 0);
    CHECK_INT(partitions.count, 0);
    partitions_clear(&partitions);
}

static void a_reset_keeps_the_partitions_alone(void) {
    add_all();
    partitions.items[7].next_offset = 42;
    partitions_reset(&partitions);
    CHECK_INT(partitions.items[7].next_offset, -1);
    CHECK(has(0, 7) && has(TOPICS - 1, NUMBERS - 1));
    partitions_clear(&partitions);
}

static const struct test_case cases[] = {
    {"each of many is found", each_of_many_is_found},
    {"the rest is found after others were removed", the_rest_is_found_after_others_were_removed},
    {"partitions come and go without end", partitions_come_and_go_without_end},
    {"a reset keeps the partitions alone", a_reset_keeps_the_partitions_alone},
};

TEST_MAIN(cases)
