/* ascii: the sixteen-byte scan gives the same result as a scan by bytes. */
#include "base/ascii.h"
#include "test.h"

#define MOST 40

typedef size_t (*run_of)(const char *text, size_t len);
typedef bool (*plain_of)(unsigned char c);

/* Every byte, at every place of a text of every length, in front of one that also stops. */
static void check(run_of run, plain_of is_plain, char plain) {
    for (size_t len = 0; len <= MOST; len++) {
        for (size_t at = 0; at < len; at++) {
            for (int byte = 0; byte < 256; byte++) {
                char text[MOST];
                memset(text, plain, sizeof text);
                text[at] = (char)byte;
                if (at + 1 < len) {
                    text[len - 1] = '\0';
                }
                size_t want = !is_plain((unsigned char)byte) ? at : at + 1 < len ? len - 1 : len;
                if (run(text, len) != want) {
                    TEST_FAIL("byte %d at %zu of %zu: %zu, want %zu", byte, at, len, run(text, len),
                              want);
                }
            }
        }
    }
}

static void text_runs_to_nul_and_beyond_ascii(void) {
    check(ascii_text_run, ascii_is_text, ' ');
    check(ascii_text_run, ascii_is_text, 1);
    check(ascii_text_run, ascii_is_text, 0x7F);
    CHECK_INT(ascii_text_run("", 0), 0);
}

static void a_json_run_ends_at_the_first_special_byte(void) {
    check(ascii_json_run, ascii_is_json, ' ');
    check(ascii_json_run, ascii_is_json, '!');
    check(ascii_json_run, ascii_is_json, ']');
    check(ascii_json_run, ascii_is_json, 0x7F);
}

static const struct test_case cases[] = {
    {"text runs to NUL and beyond ASCII", text_runs_to_nul_and_beyond_ascii},
    {"a JSON run ends at the first special byte", a_json_run_ends_at_the_first_special_byte},
};

TEST_MAIN(cases)
