/* terminal: escapes control characters of outside text. */
#include "base/terminal.h"
#include "base/json_scan.h"
#include "test.h"

static void shows(const char *text, const char *shown) {
    struct buffer out = {0};
    CHECK(terminal_append(&out, slice_of(text)) == strlen(text));
    CHECK_TEXT(out.data, shown);
    buffer_free(&out);
}

static void text_stays_as_it_is(void) {
    shows("Uppsats 4.docx\t名前 é 😀\n", "Uppsats 4.docx\t名前 é 😀\n");
    shows("\"quoted\" \\ and /", "\"quoted\" \\ and /");
}

static void control_characters_are_escaped(void) {
    shows("a\x1B[2Jb\x07", "a\\u001B[2Jb\\u0007");
    shows("line\r\nnext\x7F", "line\\u000D\nnext\\u007F");
    shows("\xC2\x9B"
          "31m", /* CSI in one character */
          "\\u009B31m");
}

static void bidirectional_controls_are_escaped(void) {
    shows("b\u202Egpj.exe", "b\\u202Egpj.exe");
    shows("\u200E\u200F\u061C\u202A\u2066\u2069", "\\u200E\\u200F\\u061C\\u202A\\u2066\\u2069");
    shows("\u200D\u202F\u2065", "\u200D\u202F\u2065"); /* their neighbours are harmless */
}

static void invisible_characters_are_escaped(void) {
    shows("a\u00ADb\u200Bc\u2028d\u2029e\uFEFF", "a\\u00ADb\\u200Bc\\u2028d\\u2029e\\uFEFF");
    shows("\U000E0041.", "\\uDB40\\uDC41.");
    shows("\u200C\u200D", "\u200C\u200D"); /* they join letters and pictures */
}

static void bytes_that_are_not_utf8_are_written_out(void) {
    shows("a\x80z\xFF.", "a\\x80z\\xFF.");
    shows("\xED\xA0\x80.", "\\xED\\xA0\\x80.");
    shows("\xC2\n", "\\xC2\n");
}

static void a_split_sequence_waits_for_its_end(void) {
    static const char *const texts[] = {"ab\xC3", "ab\xE2\x80", "ab\xF0\x9F\x98"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buffer out = {0};
        CHECK(terminal_append(&out, slice_of(texts[i])) == 2);
        CHECK_TEXT(out.data, "ab");
        buffer_free(&out);
    }
}

static void json_escapes_the_same(void) {
    struct buffer out = {0};
    struct json_cursor cursor;
    struct json_value value;
    char text[8];
    terminal_append(&out, slice_of("\"\u202E\""));
    json_begin(&cursor, buffer_slice(&out));
    CHECK(json_read(&cursor, &value) && json_finish(&cursor) && value.type == JSON_STRING);
    CHECK(value.raw.len < sizeof text && json_unescape(&value, text) == 3);
    CHECK(memcmp(text, "\u202E", 3) == 0);
    buffer_free(&out);
}

static const struct test_case cases[] = {
    {"text stays as it is", text_stays_as_it_is},
    {"control characters are escaped", control_characters_are_escaped},
    {"bidirectional controls are escaped", bidirectional_controls_are_escaped},
    {"invisible characters are escaped", invisible_characters_are_escaped},
    {"bytes that are not UTF-8 are escaped", bytes_that_are_not_utf8_are_written_out},
    {"a split sequence waits for its end", a_split_sequence_waits_for_its_end},
    {"JSON escapes the same", json_escapes_the_same},
};

TEST_MAIN(cases)
