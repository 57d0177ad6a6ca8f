/* json_scan: accepts RFC 8259 only, and reports the byte of an error. */
#include "base/json_fast.h"
#include "test.h"

struct verdict {
    const char *text;
    size_t len; /* 0: strlen */
    const char *error;
    size_t offset; /* where reading stopped */
};

static struct slice text_of(const struct verdict *verdict) {
    return (struct slice){verdict->text, verdict->len ? verdict->len : strlen(verdict->text)};
}

/* The bytes in memory of their own, so that AddressSanitizer sees one read too many. */
static bool scan(struct slice text, struct json_cursor *cursor, struct json_value *value) {
    char *copy = malloc(text.len ? text.len : 1);
    memcpy(copy, text.data, text.len);
    json_begin(cursor, (struct slice){copy, text.len});
    bool ok = json_read(cursor, value) && json_finish(cursor);
    size_t offset = json_offset(cursor);
    free(copy);
    cursor->start = text.data;
    cursor->at = text.data + offset;
    cursor->end = text.data + text.len;
    return ok;
}

static void accepts(const char *const *texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct json_cursor cursor;
        struct json_value value;
        if (!scan(slice_of(texts[i]), &cursor, &value)) {
            TEST_FAIL("refused %s: %s", texts[i], cursor.error);
        }
    }
}

static void refuses(const struct verdict *verdicts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct json_cursor cursor;
        struct json_value value;
        if (scan(text_of(&verdicts[i]), &cursor, &value)) {
            TEST_FAIL("accepted %s", verdicts[i].text);
        } else if (!strstr(cursor.error, verdicts[i].error) ||
                   json_offset(&cursor) != verdicts[i].offset) {
            TEST_FAIL("%s: \"%s\" at %zu, want \"%s\" at %zu", verdicts[i].text, cursor.error,
                      json_offset(&cursor), verdicts[i].error, verdicts[i].offset);
        }
    }
}
#define ACCEPTS(...)                                                                               \
    do {                                                                                           \
        static const char *const texts_[] = {__VA_ARGS__};                                         \
        accepts(texts_, sizeof texts_ / sizeof *texts_);                                           \
    } while (0)
#define REFUSES(...)                                                                               \
    do {                                                                                           \
        static const struct verdict verdicts_[] = {__VA_ARGS__};                                   \
        refuses(verdicts_, sizeof verdicts_ / sizeof *verdicts_);                                  \
    } while (0)

static void values_of_every_kind(void) {
    ACCEPTS("null", "true", "false", "0", "\"\"", "[]", "{}", " \t\r\n[ ] ", "[[],{}]", "[1,2]",
            "{\"a\":1,\"a\":2}", "{\"\":0}", "[null,true,false,\"x\",-1.5e3,[],{\"k\":[]}]",
            "{ \"a\" : [ 1 , { \"b\" : null } ] }", "\"\x7f\"", "\"a/b\"");
}

static void numbers(void) {
    ACCEPTS("-0", "0e1", "0E+1", "1e-2", "123456789012345678901234567890", "-1", "0.5", "1.25e+10",
            "1e400", "-1e-400", "0.0000000000000000000000000000000000000000000000000001");
    REFUSES({"-", 0, "a digit is missing", 1}, {"01", 0, "something follows", 1},
            {"-01", 0, "something follows", 2}, {"+1", 0, "cannot begin", 0},
            {".5", 0, "cannot begin", 0}, {"1.", 0, "a digit is missing", 2},
            {"1e", 0, "a digit is missing", 2}, {"1e+", 0, "a digit is missing", 3},
            {"1.e1", 0, "a digit is missing", 2}, {"0x10", 0, "something follows", 1},
            {"1_000", 0, "something follows", 1}, {"NaN", 0, "cannot begin", 0},
            {"Infinity", 0, "cannot begin", 0}, {"-Infinity", 0, "a digit is missing", 1},
            {"1 2", 0, "something follows", 2}, {"1,5", 0, "something follows", 1},
            {"\xef\xbc\x91", 0, "cannot begin", 0}, {"2.e", 0, "a digit is missing", 2});
}

static void words(void) {
    REFUSES({"nul", 0, "cannot begin", 0}, {"True", 0, "cannot begin", 0},
            {"nulll", 0, "something follows", 4}, {"trueish", 0, "something follows", 4},
            {"fals", 0, "cannot begin", 0}, {"undefined", 0, "cannot begin", 0});
}

static void strings(void) {
    ACCEPTS("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0041\\uABcd\"", "\"\\u0000\"",
            "\"\\ud83d\\ude00\"", "\"\\udbff\\udfff\"", "\"\xE2\x80\xA8\"");
    REFUSES({"\"", 0, "ends within a string", 1}, {"\"a", 0, "ends within a string", 2},
            {"\"\\", 0, "ends within a string", 1}, {"\"\\x41\"", 0, "unknown escape", 1},
            {"\"\\a\"", 0, "unknown escape", 1}, {"\"\\'\"", 0, "unknown escape", 1},
            {"\"\\u12\"", 0, "bad \\u escape", 1}, {"\"\\u12G4\"", 0, "bad \\u escape", 1},
            {"\"\\u", 0, "bad \\u escape", 1}, {"\"\\U0041\"", 0, "unknown escape", 1},
            {"\"a\nb\"", 0, "control character", 2}, {"\"a\tb\"", 0, "control character", 2},
            {"\"\0\"", 3, "control character", 1}, {"\"\\\0\"", 4, "unknown escape", 1},
            {"'a'", 0, "cannot begin", 0}, {"\"\x1f\"", 0, "control character", 1});
}

static void lone_surrogates(void) {
    REFUSES({"\"\\ud800\"", 0, "lone surrogate", 1}, {"\"\\udc00\"", 0, "lone surrogate", 1},
            {"\"\\ud800\\u0041\"", 0, "lone surrogate", 1},
            {"\"\\ud800\\ud800\"", 0, "lone surrogate", 1},
            {"\"\\ud800x\"", 0, "lone surrogate", 1}, {"\"\\ud800\\\"", 0, "lone surrogate", 1},
            {"\"\\ud800\\u\"", 0, "lone surrogate", 1},
            {"\"\\ud800\\udc0\"", 0, "lone surrogate", 1},
            {"\"\\udfff\\ud800\"", 0, "lone surrogate", 1});
}

static void utf8(void) {
    ACCEPTS("\"\xC2\x80\"", "\"\xDF\xBF\"", "\"\xE0\xA0\x80\"", "\"\xED\x9F\xBF\"",
            "\"\xEE\x80\x80\"", "\"\xEF\xBF\xBF\"", "\"\xF0\x90\x80\x80\"", "\"\xF4\x8F\xBF\xBF\"",
            "{\"\xC3\xA9\":1}");
    REFUSES({"\"\x80\"", 0, JSON_BAD_UTF8, 1}, {"\"\xC0\x80\"", 0, JSON_BAD_UTF8, 1},
            {"\"\xC1\xBF\"", 0, JSON_BAD_UTF8, 1}, {"\"\xE0\x9F\xBF\"", 0, JSON_BAD_UTF8, 1},
            {"\"\xED\xA0\x80\"", 0, JSON_BAD_UTF8, 1}, {"\"\xED\xBF\xBF\"", 0, JSON_BAD_UTF8, 1},
            {"\"\xF0\x8F\xBF\xBF\"", 0, JSON_BAD_UTF8, 1},
            {"\"\xF4\x90\x80\x80\"", 0, JSON_BAD_UTF8, 1},
            {"\"\xF5\x80\x80\x80\"", 0, JSON_BAD_UTF8, 1}, {"\"\xFF\"", 0, JSON_BAD_UTF8, 1},
            {"\"ab\xC3\"", 0, JSON_BAD_UTF8, 3}, {"\"\xE2\x82", 0, JSON_BAD_UTF8, 1},
            {"{\"\xFE\":1}", 0, JSON_BAD_UTF8, 2}, {"\xEF\xBB\xBF{}", 0, "cannot begin", 0});
}

static void structure(void) {
    REFUSES({"", 0, "ends where a value", 0}, {"  ", 0, "ends where a value", 2},
            {"[", 0, "ends where", 1}, {"[1", 0, "ends within a container", 2},
            {"[1,", 0, "ends where", 3}, {"[1,]", 0, "cannot begin", 3},
            {"[,1]", 0, "cannot begin", 1}, {"[1 2]", 0, "a comma or a bracket", 3},
            {"[1,,2]", 0, "cannot begin", 3}, {"]", 0, "cannot begin", 0},
            {"[}", 0, "cannot begin", 1}, {"[1}", 0, "a comma or a bracket", 2},
            {"{", 0, "a key must be", 1}, {"{\"a\"", 0, "a colon", 4},
            {"{\"a\":", 0, "ends where a value", 5}, {"{\"a\":1", 0, "ends within", 6},
            {"{\"a\":1,}", 0, "a key must be", 7}, {"{,}", 0, "a key must be", 1},
            {"{a:1}", 0, "a key must be", 1}, {"{1:1}", 0, "a key must be", 1},
            {"{\"a\" 1}", 0, "a colon", 5}, {"{\"a\"::1}", 0, "cannot begin", 5},
            {"{\"a\":1 \"b\":2}", 0, "a comma or a bracket", 7}, {"{}}", 0, "something follows", 2},
            {"{}//x", 0, "something follows", 2}, {"/* */{}", 0, "cannot begin", 0},
            {"[]\0", 3, "something follows", 2}, {"\v[]", 0, "cannot begin", 0},
            {"[\f]", 0, "cannot begin", 1}, {"\xC2\xA0[]", 0, "cannot begin", 0});
}

static bool nested(const char *open, const char *inside, const char *close, int depth) {
    char text[4096] = "";
    for (int i = 0; i < depth; i++) {
        strcat(text, open);
    }
    strcat(text, inside);
    for (int i = 0; i < depth; i++) {
        strcat(text, close);
    }
    struct json_cursor cursor;
    struct json_value value;
    bool ok = scan(slice_of(text), &cursor, &value);
    CHECK(ok || strcmp(cursor.error, JSON_TOO_DEEP) == 0);
    return ok;
}

static void depth_ends_at_the_limit(void) {
    CHECK(nested("[", "", "]", JSON_MAX_DEPTH));
    CHECK(!nested("[", "", "]", JSON_MAX_DEPTH + 1));
    CHECK(nested("{\"a\":", "1", "}", JSON_MAX_DEPTH));
    CHECK(!nested("{\"a\":", "1", "}", JSON_MAX_DEPTH + 1));
    CHECK(nested("[{\"a\":", "1", "}]", JSON_MAX_DEPTH / 2));
}

static void siblings_do_not_add_depth(void) {
    char text[4096] = "[";
    for (int i = 0; i < 300; i++) {
        strcat(text, i ? ",[{}]" : "[{}]");
    }
    strcat(text, "]");
    struct json_cursor cursor;
    struct json_value value;
    CHECK(scan(slice_of(text), &cursor, &value));
}

/* Every cut of a document is refused, and none reads past its end. */
static void every_prefix_is_refused(void) {
    static const char document[] =
        "{\"a\\u00e9\\ud83d\\ude00\":[1,-2.5e+3,true,null,{\"b\":\"\xF0\x9F\x98\x80\"}],\"c\":{}}";
    struct json_cursor cursor;
    struct json_value value;
    CHECK(scan(slice_of(document), &cursor, &value));
    for (size_t len = 0; len < sizeof document - 1; len++) {
        if (scan((struct slice){document, len}, &cursor, &value)) {
            TEST_FAIL("accepted the first %zu bytes", len);
        }
        CHECK(json_offset(&cursor) <= len);
    }
}

static struct json_value value_of(const char *text) {
    struct json_cursor cursor;
    struct json_value value = {0};
    json_begin(&cursor, slice_of(text));
    CHECK(json_read(&cursor, &value) && json_finish(&cursor));
    return value;
}

static void integers(void) {
    static const struct {
        const char *text;
        bool fits;
        int64_t value;
    } table[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"9007199254740993", true, 9007199254740993},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"123456789012345678901234567890123456789", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct json_value value = value_of(table[i].text);
        int64_t got = 0;
        CHECK_INT(json_to_int64(&value, &got), table[i].fits);
        if (table[i].fits) {
            CHECK_INT(got, table[i].value);
        }
    }
}

static void doubles(void) {
    double got;
    struct json_value value = value_of("2.998155");
    CHECK(json_to_double(&value, &got) && got == 2.998155);
    value = value_of("-0.0");
    CHECK(json_to_double(&value, &got) && got == 0 && 1 / got < 0);
    value = value_of("-0");
    CHECK(json_to_double(&value, &got) && got == 0 && 1 / got < 0);
    value = value_of("-999999999999999");
    CHECK(json_to_double(&value, &got) && got == -999999999999999.0);
    value = value_of("-123.456");
    CHECK(json_to_double(&value, &got) && got == -123.456);
    value = value_of("0.00000000000001");
    CHECK(json_to_double(&value, &got) && got == 0.00000000000001);
    value = value_of("-99999999999999.9");
    CHECK(json_to_double(&value, &got) && got == -99999999999999.9);
    value = value_of("9007199254740993"); /* halfway: to the even one */
    CHECK(json_to_double(&value, &got) && got == 9007199254740992.0);
    value = value_of("5e-324");
    CHECK(json_to_double(&value, &got) && got > 0);
    value = value_of("1e-400");
    CHECK(json_to_double(&value, &got) && got == 0);
    value = value_of("1e400");
    CHECK(!json_to_double(&value, &got));
    value = value_of("-1e400");
    CHECK(!json_to_double(&value, &got));
}

/* As many digits as one likes: what Python reads is read, to the last digit that counts. */
static void doubles_of_many_digits(void) {
    char text[2100] = "0.";
    memset(text + 2, '3', 2000);
    strcpy(text + 2002, "e1");
    double got;
    struct json_value value = value_of(text);
    CHECK(json_to_double(&value, &got) && got == 10.0 / 3);
}

static void unescaping(void) {
    static const struct {
        const char *text, *want;
        size_t len;
    } table[] = {
        {"\"plain\"", "plain", 5},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
        {"\"\\u0041\\u00e9\\u20AC\"", "A\xC3\xA9\xE2\x82\xAC", 6},
        {"\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80", 4},
        {"\"\\uDBFF\\uDFFF\"", "\xF4\x8F\xBF\xBF", 4},
        {"\"a\\u0000b\"", "a\0b", 3},
        {"\"\\\\u0041\"", "\\u0041", 6},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct json_value value = value_of(table[i].text);
        char *out = malloc(value.raw.len);
        size_t len = json_unescape(&value, out);
        CHECK_INT(len, table[i].len);
        CHECK(len == table[i].len && memcmp(out, table[i].want, len) == 0);
        free(out);
    }
}

static void containers_keep_their_exact_bytes(void) {
    struct json_value value = value_of(" {\"a\" : [1, 2]} ");
    CHECK_SLICE(value.raw, "{\"a\" : [1, 2]}");
}

static void an_error_stays(void) {
    struct json_cursor cursor;
    struct json_value value;
    bool more;
    json_begin(&cursor, slice_of("[1 2]"));
    CHECK(!json_read(&cursor, &value));
    size_t offset = json_offset(&cursor);
    CHECK(!json_read(&cursor, &value) && !json_enter(&cursor) && !json_finish(&cursor) &&
          !json_next_element(&cursor, &more) && !json_next_member(&cursor, &value, &more));
    CHECK_INT(json_offset(&cursor), offset);
}

/* The cursor at the first member of an object, or at its second. */
static struct json_cursor at_member(const char *text, bool second) {
    struct json_cursor cursor;
    struct json_value value;
    bool more;
    json_begin(&cursor, slice_of(text));
    CHECK(json_enter(&cursor));
    CHECK(!second || (json_next_member(&cursor, &value, &more) && json_read(&cursor, &value)));
    return cursor;
}

static void check_key(const char *text, bool second, const char *name) {
    static const char expected[4 + ASCII_PADDING] = "\"ab\":";
    struct json_cursor fast = at_member(text, second), before = fast, slow = fast;
    struct slice key;
    struct json_value value;
    bool more, taken = json_take_key(&fast, (struct slice){expected, 5}, &key);
    if (taken != (name != NULL)) {
        TEST_FAIL("%s: taken %d", text, taken);
    } else if (!taken) {
        CHECK(fast.at == before.at && fast.fresh == before.fresh);
    } else {
        CHECK(json_next_member(&slow, &value, &more) && more);
        CHECK(slow.at == fast.at && slow.fresh == fast.fresh && slow.depth == fast.depth);
        CHECK(slice_equal(value.raw, slice_of(name)));
        CHECK(slice_equal(key.data ? key : slice_of("ab"), slice_of(name)));
    }
}

static void usual_keys_are_taken_and_others_left(void) {
    static const struct {
        const char *text, *name; /* NULL: left */
    } table[] = {
        {"\"ab\": 1}", "ab"},
        {"\"ab\":1}", "ab"},
        {"\"ab\":1, \"and thirty more bytes\": 1}", "ab"},
        {"\"abc\": 1}", "abc"},
        {"\"a\":\"ab\"}", "a"},
        {"\"\": []}", ""},
        {"\"ab\" : 1}", NULL},
        {"\"ab\":  1}", NULL},
        {"\"ab\":\n1}", NULL},
        {"\"ab\":", NULL},
        {"\"ab\"", NULL},
        {"\"ab", NULL},
        {"\"a\\u0062\": 1}", NULL},
        {"\"\xC3\xA9\": 1}", NULL},
        {"\"a\nb\": 1}", NULL},
        {"ab: 1}", NULL},
        {"}", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[128];
        snprintf(text, sizeof text, "{%s", table[i].text);
        check_key(text, false, table[i].name);
        snprintf(text, sizeof text, "{\"x\": 1, %s", table[i].text);
        check_key(text, true, table[i].name);
        snprintf(text, sizeof text, "{\"x\": 1 %s", table[i].text);
        check_key(text, true, NULL);
    }
}

static const struct test_case cases[] = {
    {"accepts values of every kind", values_of_every_kind},
    {"accepts and refuses numbers by RFC 8259", numbers},
    {"refuses words that are not JSON's", words},
    {"accepts and refuses escapes by RFC 8259", strings},
    {"refuses lone surrogates", lone_surrogates},
    {"refuses ill-formed UTF-8", utf8},
    {"refuses a broken structure where it breaks", structure},
    {"depth ends at the limit", depth_ends_at_the_limit},
    {"siblings do not add depth", siblings_do_not_add_depth},
    {"every prefix of a document is refused", every_prefix_is_refused},
    {"integers are exact or refused", integers},
    {"doubles are exact or refused", doubles},
    {"doubles of many digits are read", doubles_of_many_digits},
    {"strings are unescaped", unescaping},
    {"usual keys are taken, others left", usual_keys_are_taken_and_others_left},
    {"containers keep their exact bytes", containers_keep_their_exact_bytes},
    {"an error stays and does not move", an_error_stays},
};

TEST_MAIN(cases)
