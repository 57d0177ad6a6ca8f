/* traceparent: accepts W3C Trace Context only. */
#include "base/traceparent.h"
#include "test.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"
#define IDS TRACE "-" PARENT

/* A copy without NUL behind it, so that the sanitizer sees each byte that is read too far. */
static struct slice copied(const char *text, char **copy) {
    size_t len = strlen(text);
    *copy = malloc(len ? len : 1);
    memcpy(*copy, text, len);
    return (struct slice){*copy, len};
}

static void the_standards_examples_are_read(void) {
    static const char *const good[] = {
        "00-" IDS "-01", "00-" IDS "-00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-" IDS "-ff", "cc-" IDS "-01", "cc-" IDS "-01-what-the-future-will-be-like",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char *copy, text[TRACEPARENT_LEN + 1];
        struct slice read = traceparent_read(copied(good[i], &copy));
        CHECK(read.data == copy && read.len == TRACEPARENT_LEN);
        CHECK(memcmp(traceparent_trace_id(read).data, good[i] + 3, 32) == 0);
        CHECK_INT(traceparent_trace_id(read).len, 32);
        traceparent_format(read, text);
        CHECK(memcmp(text, "00", 2) == 0 && memcmp(text + 2, good[i] + 2, 53) == 0);
        CHECK_INT(strlen(text), TRACEPARENT_LEN);
        free(copy);
    }
}

static void any_other_text_is_refused(void) {
    static const char *const bad[] = {
        "",
        "00",
        "00-" IDS,
        "00-" IDS "-",
        "00-" IDS "-0",
        "00-" IDS "-1 ",
        "00-" IDS "-0x",
        "00-" IDS "-01-",
        "00-" IDS "-01-what-the-future-will-be-like",
        "00-" IDS "-011",
        "cc-" IDS "-01.what-the-future-will-not-be-like",
        "ff-" IDS "-01",
        ".0-" IDS "-01",
        "0-" IDS "-01",
        "00_" IDS "-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
        "00-" TRACE "-00F067AA0BA902B7-01",
        "00-" IDS "-0A",
        "CC-" IDS "-01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-" TRACE "-00f067aa0ba902bg-01",
        "00-.bf92f3577b34da6a3ce929d0e0e4736-" PARENT "-01",
        "00-" TRACE PARENT "-01-00",
        " 00-" IDS "-01",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *copy;
        if (traceparent_read(copied(bad[i], &copy)).data) {
            CHECK_TEXT(bad[i], "");
        }
        free(copy);
    }
    char text[TRACEPARENT_LEN + 1] = "x";
    struct slice none = traceparent_read((struct slice){0});
    CHECK(!none.data && !traceparent_trace_id(none).data && !traceparent_is_sampled(none));
    traceparent_format(none, text);
    CHECK_TEXT(text, "");
}

static void the_last_flag_says_sampled(void) {
    CHECK(traceparent_is_sampled(traceparent_read(slice_of("00-" IDS "-01"))));
    CHECK(traceparent_is_sampled(traceparent_read(slice_of("00-" IDS "-ff"))));
    CHECK(!traceparent_is_sampled(traceparent_read(slice_of("00-" IDS "-00"))));
    CHECK(!traceparent_is_sampled(traceparent_read(slice_of("00-" IDS "-fe"))));
}

static const struct test_case cases[] = {
    {"the standard's examples are read", the_standards_examples_are_read},
    {"any other text is refused", any_other_text_is_refused},
    {"the last flag says sampled", the_last_flag_says_sampled},
};

TEST_MAIN(cases)
