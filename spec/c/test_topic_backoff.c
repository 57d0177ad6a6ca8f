/* topic_backoff: how long a topic is left out, with a clock of the test. */
#include "outbox/topic_backoff.h"

#include "base/log.h"
#include "test.h"

#define SECOND_US 1000000LL
#define LONGEST_US (30 * SECOND_US)

static struct topic_backoffs backoffs;

static void refuse(const char *topic, int64_t now_us) {
    topic_backoff_begin(&backoffs, topic, now_us, "not there");
}

static bool is_left_out(const char *topic, int64_t now_us) {
    const char *topics[BACKOFF_TOPICS_MAX];
    size_t count = topic_backoff_list(&backoffs, now_us, topics);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(topics[i], topic) == 0) {
            return true;
        }
    }
    return false;
}

static void check_left_out_for(const char *topic, int64_t now_us, int64_t length_us) {
    CHECK(is_left_out(topic, now_us + length_us - 1));
    CHECK(!is_left_out(topic, now_us + length_us));
}

static void a_topic_is_left_out_twice_as_long_up_to_a_bound(void) {
    int64_t now_us = 0;
    for (int64_t length_us = SECOND_US; length_us < 4 * LONGEST_US; length_us *= 2) {
        int64_t bound_us = length_us < LONGEST_US ? length_us : LONGEST_US;
        refuse("news", now_us);
        check_left_out_for("news", now_us, bound_us);
        now_us += bound_us;
    }
    topic_backoff_free(&backoffs);
}

static void messages_of_one_attempt_count_once(void) {
    for (int i = 0; i < 5; i++) {
        refuse("news", i);
    }
    check_left_out_for("news", 0, SECOND_US);
    topic_backoff_free(&backoffs);
}

static void a_topic_is_left_out_alone(void) {
    refuse("news", 0);
    CHECK(!is_left_out("other", 0));
    topic_backoff_free(&backoffs);
}

static void an_accepted_message_ends_it(void) {
    refuse("news", 0);
    refuse("news", SECOND_US);
    topic_backoff_end(&backoffs, "news");
    CHECK(!is_left_out("news", SECOND_US));
    refuse("news", 2 * SECOND_US);
    check_left_out_for("news", 2 * SECOND_US, SECOND_US);
    topic_backoff_free(&backoffs);
}

/* The one that is tried last: those that are due sooner keep the lengths of their waits. */
static void above_the_most_topics_the_one_that_waits_longest_gives_way(void) {
    char name[16];
    for (int i = 0; i < BACKOFF_TOPICS_MAX; i++) {
        snprintf(name, sizeof name, "topic %d", i);
        refuse(name, i == 7 ? 1000 : i);
    }
    refuse("one more", 500);
    CHECK(is_left_out("one more", 1001));
    for (int i = 0; i < BACKOFF_TOPICS_MAX; i++) {
        snprintf(name, sizeof name, "topic %d", i);
        CHECK_INT(is_left_out(name, 1001), i != 7);
    }
    topic_backoff_free(&backoffs);
}

static const struct test_case cases[] = {
    {"a topic is left out twice as long, up to a bound",
     a_topic_is_left_out_twice_as_long_up_to_a_bound},
    {"messages of one attempt count once", messages_of_one_attempt_count_once},
    {"a topic is left out alone", a_topic_is_left_out_alone},
    {"an accepted message ends it", an_accepted_message_ends_it},
    {"above the most topics the one that waits longest gives way",
     above_the_most_topics_the_one_that_waits_longest_gives_way},
};

int main(int argc, char **argv) {
    log_configure(LOG_ERROR + 1, false);
    return test_run(cases, sizeof cases / sizeof *cases, argc, argv);
}
