/* timestamp: reads the spellings of Python and others, writes one. */
#include "base/timestamp.h"
#include "test.h"

static const struct {
    const char *text;
    int64_t unix_us;
} good[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"1970-01-01T00:00:00", 0},
    {"1970-01-01 00:00:00+00:00", 0},
    {"1970-01-01t00:00:00z", 0},
    {"1970-01-01T00:00:00-00:00", 0},
    {"2025-06-28T08:00:25.606288Z", 1751097625606288},
    {"2025-06-28T08:00:25.606288+00:00", 1751097625606288},
    {"2025-06-28T10:00:25.606288+02:00", 1751097625606288},
    {"2025-06-28T10:00:25.606288+0200", 1751097625606288},
    {"2025-06-28T10:00:25.606288+02", 1751097625606288},
    {"2025-06-28T02:30:25.606288-05:30", 1751097625606288},
    {"2025-06-28T08:00:25,606288Z", 1751097625606288},
    {"2025-06-28T08:00:25.6Z", 1751097625600000},
    {"2025-06-28T08:00:25.60Z", 1751097625600000},
    {"2025-06-28T08:00:25.000001", 1751097625000001},
    {"2025-06-28T08:00:25.6062889Z", 1751097625606288},
    {"2025-06-28T08:00:25.606288999", 1751097625606288},
    {"2025-06-28T08:00Z", 1751097600000000},
    {"2025-06-28T08:00+02:00", 1751090400000000},
    {"2024-02-29T00:00:00Z", 1709164800000000},
    {"2000-02-29T23:59:59.999999Z", 951868799999999},
    {"1969-12-31T23:59:59.999999Z", -1},
    {"1900-03-01T00:00:00Z", -2203891200000000},
    {"0001-01-01T00:00:00Z", -62135596800000000},
    {"9999-12-31T23:59:59.999999Z", 253402300799999999},
    {"2025-01-01T00:00:00+23:59", 1735603260000000},
};

static const char *const bad[] = {
    "",
    "Z",
    "2025",
    "2025-06-28",
    "2025-06-28T",
    "2025-06-28T08",
    "2025-06-28T08:00:25.Z",
    "2025-06-28T08:00:25.6062889990Z",
    "2025-06-28T08:00:2",
    "2025-6-28T08:00:25Z",
    "25-06-28T08:00:25Z",
    "2025-06-28T08:00:25 Z",
    "2025-06-28T08:00:25Zx",
    "2025-06-28T08:00:25ZZ",
    "2025-06-28T08:00:25+",
    "2025-06-28T08:00:25+2",
    "2025-06-28T08:00:25+02:",
    "2025-06-28T08:00:25+02:0",
    "2025-06-28T08:00:25+24:00",
    "2025-06-28T08:00:25+02:60",
    "2025-06-28T08:00:25+02:00Z",
    "2025-06-28T08:00:60Z",
    "2025-06-28T08:60:00Z",
    "2025-06-28T24:00:00Z",
    "2025-00-28T08:00:25Z",
    "2025-13-28T08:00:25Z",
    "2025-06-00T08:00:25Z",
    "2025-06-31T08:00:25Z",
    "2025-02-29T08:00:25Z",
    "1900-02-29T08:00:25Z",
    "0000-01-01T00:00:00Z",
    "-001-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "2025-06-28T08:00:25.606288\xC2\xB5",
    " 2025-06-28T08:00:25Z",
    "1751097625",
    "now",
};

/* Bytes of their own without a NUL: a read past the end shows under AddressSanitizer. */
static bool parse(const char *text, int64_t *unix_us) {
    size_t len = strlen(text);
    char *copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    bool ok = timestamp_parse((struct slice){copy, len}, unix_us);
    free(copy);
    return ok;
}

static void reads_every_spelling(void) {
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t got = 0;
        if (!parse(good[i].text, &got) || got != good[i].unix_us) {
            TEST_FAIL("%s is %lld, want %lld", good[i].text, (long long)got,
                      (long long)good[i].unix_us);
        }
    }
}

static void refuses_texts_that_are_not_times(void) {
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t got;
        if (parse(bad[i], &got)) {
            TEST_FAIL("accepted %s", bad[i]);
        }
    }
}

static void writes_one_spelling(void) {
    static const struct {
        int64_t unix_us;
        const char *text;
    } table[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {1751097625606288, "2025-06-28T08:00:25.606288Z"},
        {-62135596800000000, "0001-01-01T00:00:00.000000Z"},
        {253402300799999999, "9999-12-31T23:59:59.999999Z"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[TIMESTAMP_TEXT_CAP];
        CHECK_INT(timestamp_format(table[i].unix_us, text), strlen(table[i].text));
        CHECK_TEXT(text, table[i].text);
    }
}

static void any_integer_can_be_written(void) {
    char text[TIMESTAMP_TEXT_CAP];
    CHECK(timestamp_format(INT64_MAX, text) < TIMESTAMP_TEXT_CAP);
    CHECK(timestamp_format(INT64_MIN, text) < TIMESTAMP_TEXT_CAP);
}

static void round_trips(void) {
    uint32_t seed = 7;
    for (int i = 0; i < 20000; i++) {
        int64_t day = (int64_t)test_draw(&seed, 3652059) - 719162;
        int64_t at = (day * 86400 + test_draw(&seed, 86400)) * 1000000 + test_draw(&seed, 1000000);
        char text[TIMESTAMP_TEXT_CAP];
        int64_t back = 0;
        timestamp_format(at, text);
        if (!parse(text, &back) || back != at) {
            TEST_FAIL("%s is %lld, want %lld", text, (long long)back, (long long)at);
            return;
        }
    }
}

static void dates_are_days_in_one_spelling(void) {
    static const struct {
        int64_t unix_days;
        const char *text;
    } table[] = {{0, "1970-01-01"},
                 {-1, "1969-12-31"},
                 {20267, "2025-06-28"},
                 {-719162, "0001-01-01"},
                 {2932896, "9999-12-31"}};
    static const char *const wrong[] = {
        "", "2025-02-30", "2025-6-28", "0000-01-01", "2025-06-28Z", "10000-01-01", "2025/06/28"};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[DATE_TEXT_LEN + 1];
        int64_t days;
        date_format(table[i].unix_days, text);
        CHECK_TEXT(text, table[i].text);
        CHECK(date_parse(slice_of(text), &days) && days == table[i].unix_days);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t days;
        if (date_parse(slice_of(wrong[i]), &days)) {
            TEST_FAIL("accepted %s", wrong[i]);
        }
    }
}

static const struct test_case cases[] = {
    {"reads every spelling of a time", reads_every_spelling},
    {"refuses texts that are not times", refuses_texts_that_are_not_times},
    {"writes one spelling", writes_one_spelling},
    {"any integer can be written", any_integer_can_be_written},
    {"written times read back", round_trips},
    {"dates are days in one spelling", dates_are_days_in_one_spelling},
};

TEST_MAIN(cases)
