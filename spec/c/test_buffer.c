/* buffer: growing bytes that always end in a NUL, and JSON strings. */
#include "base/buffer.h"
#include "base/json_scan.h"
#include "test.h"

static void appends_end_in_a_nul(void) {
    struct buffer buffer = {0};
    buffer_append(&buffer, NULL, 0);
    CHECK_TEXT(buffer.data, "");
    buffer_append_text(&buffer, "ab");
    buffer_append(&buffer, "c\0d", 3);
    CHECK_INT(buffer.len, 5);
    CHECK_INT(buffer.data[5], 0);
    buffer_clear(&buffer);
    CHECK_TEXT(buffer.data, "");
    CHECK_SLICE(buffer_slice(&buffer), "");
    buffer_free(&buffer);
    CHECK_SLICE(buffer_slice(&buffer), "");
}

static void grows_over_every_size(void) {
    struct buffer buffer = {0};
    for (size_t i = 0; i < 3000; i++) {
        buffer_append(&buffer, "0123456789", i % 11);
    }
    size_t want = 0;
    for (size_t i = 0; i < 3000; i++) {
        want += i % 11;
    }
    CHECK_INT(buffer.len, want);
    CHECK_INT(strlen(buffer.data), want);
    buffer_free(&buffer);
}

static void formats_of_any_length(void) {
    struct buffer buffer = {0};
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    buffer_append_format(&buffer, "%s", "");
    CHECK_INT(buffer.len, 0);
    buffer_append_format(&buffer, "<%s|%d>", text, 7);
    CHECK_INT(buffer.len, sizeof text - 1 + 4);
    CHECK_TEXT(buffer.data + sizeof text, "|7>");
    buffer_free(&buffer);
}

static void becomes(struct slice text, const char *want) {
    struct buffer buffer = {0};
    buffer_append_json_string(&buffer, text);
    CHECK_TEXT(buffer.data, want);
    buffer_free(&buffer);
}

static void json_strings_are_escaped_and_invalid_bytes_replaced(void) {
    becomes((struct slice){0}, "\"\"");
    becomes(slice_of("a\"b\\c/\n\r\t\b\x1f\x7f"), "\"a\\\"b\\\\c/\\n\\r\\t\\u0008\\u001f\x7f\"");
    becomes((struct slice){"\0", 1}, "\"\\u0000\"");
    becomes(slice_of("\xC3\xA9\xF0\x9F\x98\x80"), "\"\xC3\xA9\xF0\x9F\x98\x80\"");
    becomes(slice_of("\xFF\xC3"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
    becomes(slice_of("\xED\xA0\x80x"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDx\"");
}

static void any_bytes_become_a_json_string(void) {
    uint32_t seed = 3;
    for (int i = 0; i < 2000; i++) {
        char bytes[40];
        size_t len = test_draw(&seed, sizeof bytes);
        for (size_t b = 0; b < len; b++) {
            bytes[b] = (char)test_draw(&seed, 256);
        }
        struct buffer buffer = {0};
        struct json_cursor cursor;
        struct json_value value;
        buffer_append_json_string(&buffer, (struct slice){bytes, len});
        json_begin(&cursor, buffer_slice(&buffer));
        CHECK(json_read(&cursor, &value) && json_finish(&cursor) && value.type == JSON_STRING);
        buffer_free(&buffer);
    }
}

static const struct test_case cases[] = {
    {"appends end in a NUL", appends_end_in_a_nul},
    {"grows over every size", grows_over_every_size},
    {"formats of any length", formats_of_any_length},
    {"JSON strings are escaped and invalid bytes replaced",
     json_strings_are_escaped_and_invalid_bytes_replaced},
    {"any bytes become a JSON string", any_bytes_become_a_json_string},
};

TEST_MAIN(cases)
