/* log_recent: the newest warnings and errors. */
#include "base/log.h"
#include "base/log_recent.h"
#include "test.h"

static void write_lines(const char *message, int count) {
    for (int i = 0; i < count; i++) {
        log_warning(message, LOG_INT("number", i));
    }
}

static bool list_contains(const char *text) {
    struct buffer json = {0};
    log_recent_append(&json);
    bool found = strstr(json.data, text) != NULL;
    buffer_free(&json);
    return found;
}

static void the_last_line_of_each_message_is_kept_with_its_count(void) {
    write_lines("often", 100);
    log_error("once", LOG_TEXT("why", "a \"quote\""));
    CHECK(list_contains("\"message\":\"often\",\"number\":99,\"count\":100}"));
    CHECK(list_contains("\"message\":\"once\",\"why\":\"a \\\"quote\\\"\",\"count\":1}"));
    CHECK(!list_contains("\"number\":98"));
}

static void the_newest_is_first_and_the_oldest_goes(void) {
    char message[32];
    write_lines("oldest", 1);
    for (int i = 0; i < LOG_RECENT_MESSAGES; i++) {
        snprintf(message, sizeof message, "message %d", i);
        write_lines(message, 1);
    }
    struct buffer json = {0};
    log_recent_append(&json);
    CHECK(strstr(json.data, "message 15") < strstr(json.data, "message 14"));
    CHECK(!strstr(json.data, "oldest"));
    buffer_free(&json);
}

static void information_is_not_kept(void) {
    log_info("information");
    CHECK(!list_contains("information"));
}

static void a_long_line_is_kept_without_its_fields(void) {
    char text[LOG_RECENT_LINE_BYTES + 1];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_warning("long", LOG_TEXT("text", text));
    CHECK(list_contains("\"message\":\"long\",\"count\":1}"));
}

static const struct test_case cases[] = {
    {"the last line of each message is kept with its count",
     the_last_line_of_each_message_is_kept_with_its_count},
    {"the newest is first and the oldest goes", the_newest_is_first_and_the_oldest_goes},
    {"information is not kept", information_is_not_kept},
    {"a long line is kept without its fields", a_long_line_is_kept_without_its_fields},
};

TEST_MAIN(cases)
