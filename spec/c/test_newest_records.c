/* Where the newest events of a log begin. */
#include "shadow_run/newest_records.h"
#include "test.h"

static struct log_partition partitions[3];

static void set_lengths(int64_t first, int64_t second, int64_t third) {
    const int64_t lengths[] = {first, second, third};
    for (size_t i = 0; i < 3; i++) {
        partitions[i] = (struct log_partition){.low = 100, .high = 100 + lengths[i]};
    }
}

static void check_taken(int64_t events, int64_t first, int64_t second, int64_t third) {
    newest_records_start(partitions, 3, events);
    CHECK_INT(partitions[0].high - partitions[0].start, first);
    CHECK_INT(partitions[1].high - partitions[1].start, second);
    CHECK_INT(partitions[2].high - partitions[2].start, third);
}

static void each_partition_has_the_same_share(void) {
    set_lengths(50, 60, 1000);
    check_taken(30, 10, 10, 10);
    check_taken(31, 11, 10, 10);
    check_taken(2, 1, 1, 0);
}

static void the_rest_of_a_short_partitions_share_goes_to_the_others(void) {
    set_lengths(5, 0, 1000);
    check_taken(100, 5, 0, 95);
    set_lengths(40, 3, 1000);
    check_taken(101, 40, 3, 58);
}

static void a_log_with_fewer_is_taken_whole(void) {
    set_lengths(5, 7, 9);
    check_taken(21, 5, 7, 9);
    check_taken(1000000, 5, 7, 9);
    set_lengths(0, 0, 0);
    check_taken(10, 0, 0, 0);
}

static const struct test_case cases[] = {
    {"each partition has the same share", each_partition_has_the_same_share},
    {"the rest of a short partition's share goes to the others",
     the_rest_of_a_short_partitions_share_goes_to_the_others},
    {"a log with fewer is taken whole", a_log_with_fewer_is_taken_whole},
};

TEST_MAIN(cases)
