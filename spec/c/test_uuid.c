/* uuid: accepts every spelling of Python's uuid.UUID. */
#include "base/uuid.h"
#include "test.h"

#define CANONICAL "0123abcd-4567-89ef-0123-456789abcdef"

static const char *const good[] = {
    CANONICAL,
    "0123ABCD-4567-89EF-0123-456789ABCDEF",
    "0123abcd456789ef0123456789abcdef",
    "{0123abcd-4567-89ef-0123-456789abcdef}",
    "{0123ABCD456789EF0123456789ABCDEF}",
    "urn:uuid:0123abcd-4567-89ef-0123-456789abcdef",
    "URN:UUID:0123abcd-4567-89ef-0123-456789abcdef",
    "uuid:0123abcd-4567-89ef-0123-456789abcdef",
    "urn:uuid:{0123abcd-4567-89ef-0123-456789abcdef}",
    "0123-abcd-4567-89ef-0123-4567-89ab-cdef",
};

static const char *const bad[] = {
    "",
    "-",
    "{}",
    "urn:uuid:",
    "0123abcd-4567-89ef-0123-456789abcde",
    "0123abcd-4567-89ef-0123-456789abcdef0",
    "0123abcd-4567-89ef-0123-456789abcdeg",
    " 0123abcd-4567-89ef-0123-456789abcdef",
    "0123abcd-4567-89ef-0123-456789abcdef ",
    "0123abcd_4567_89ef_0123_456789abcdef",
    "0x23abcd-4567-89ef-0123-456789abcdef",
    "0123abcd-4567-{89ef}-0123-456789abcdef",
    "essay-1",
    "\xEF\xBC\x90"
    "123abcd456789ef0123456789abcde",
};

static bool parse(const char *text, uint8_t out[16]) {
    size_t len = strlen(text);
    char *copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    bool ok = uuid_read((struct slice){copy, len}, out);
    free(copy);
    return ok;
}

static void reads_every_spelling(void) {
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint8_t uuid[16];
        char text[UUID_TEXT_LEN + 1] = "";
        if (parse(good[i], uuid)) {
            uuid_format(uuid, text);
        }
        CHECK_TEXT(text, CANONICAL);
    }
}

static void refuses_texts_that_are_not_uuids(void) {
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t uuid[16];
        if (parse(bad[i], uuid)) {
            TEST_FAIL("accepted %s", bad[i]);
        }
    }
}

static void order_of_bytes_is_order_of_text(void) {
    uint8_t a[16], b[16];
    CHECK(parse("0123abcd-4567-89ef-0123-456789abcdef", a));
    CHECK(parse("0123abce-0000-0000-0000-000000000000", b));
    CHECK(memcmp(a, b, 16) < 0);
}

static void random_ones_are_version_4_and_differ(void) {
    uint8_t one[16], two[16];
    uuid_generate_v4(one);
    uuid_generate_v4(two);
    CHECK_INT(one[6] >> 4, 4);
    CHECK_INT(one[8] >> 6, 2);
    CHECK(memcmp(one, two, 16) != 0);
    char text[UUID_TEXT_LEN + 1];
    uint8_t back[16];
    uuid_format(one, text);
    CHECK(parse(text, back) && memcmp(one, back, 16) == 0);
}

static const struct test_case cases[] = {
    {"reads every spelling of a UUID", reads_every_spelling},
    {"refuses texts that are not UUIDs", refuses_texts_that_are_not_uuids},
    {"the order of bytes is the order of text", order_of_bytes_is_order_of_text},
    {"random ones are version 4 and differ", random_ones_are_version_4_and_differ},
};

TEST_MAIN(cases)
