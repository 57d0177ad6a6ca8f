/* The time that a stop has is longer than what it waits for. */
#include "program/program.h"
#include "test.h"

static int limit_s(int delay_ms, int drain_ms, int request_ms) {
    struct config config = {.http = {.drain_delay_ms = delay_ms,
                                     .drain_timeout_ms = drain_ms,
                                     .request_timeout_ms = request_ms}};
    return program_stop_limit_s(&config);
}

static void a_stop_has_the_time_that_the_configuration_allows_requests(void) {
    CHECK_INT(limit_s(0, 30000, 10000), 75); /* packaging/aggregator.service.in: TimeoutStopSec */
    CHECK_INT(limit_s(0, 1000, 90000), 126);
    CHECK_INT(limit_s(600000, 600000, 600000), 1835);
    CHECK_INT(limit_s(0, 0, 100), 36); /* rounded up */
}

static const struct test_case cases[] = {
    {"a stop has the time that the configuration allows requests",
     a_stop_has_the_time_that_the_configuration_allows_requests},
};

TEST_MAIN(cases)
