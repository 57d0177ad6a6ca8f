/* ascii: sixteen bytes at a time give the same result as single bytes, with SSE2 and without. */
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

/* Every set of bytes of a block. */
static void the_first_byte_is_found_without_sse2_too(void) {
    for (unsigned set = 0; set < 1U << 16; set++) {
        ascii_block flags;
        for (size_t i = 0; i < sizeof flags; i++) {
            flags[i] = (signed char)(set >> i & 1 ? -1 : 0);
        }
        size_t want = set ? (size_t)__builtin_ctz(set) : sizeof flags;
        if (ascii_first(flags) != want || ascii_first_plain(flags) != want) {
            TEST_FAIL("set %x: %zu and %zu, want %zu", set, ascii_first(flags),
                      ascii_first_plain(flags), want);
        }
    }
}

/* Prefixes of every length, in texts that end with them or later, with one other byte or none. */
static void a_prefix_is_compared_whole(void) {
    for (size_t len = 0; len <= MOST; len++) {
        for (size_t more = 0; more <= 2 * ASCII_PADDING; more++) {
            char prefix[MOST + ASCII_PADDING];
            memset(prefix, 'a', sizeof prefix);
            char *text = malloc(len + more + 1); /* AddressSanitizer sees one read too many */
            memset(text, 'a', len);
            memset(text + len, 'b', more);
            CHECK(ascii_starts_with(text, len + more, prefix, len));
            CHECK(len == 0 || !ascii_starts_with(text, len - 1, prefix, len));
            for (size_t at = 0; at < len; at++) {
                text[at] = 'b';
                CHECK(!ascii_starts_with(text, len + more, prefix, len));
                text[at] = 'a';
            }
            free(text);
        }
    }
}

static const struct test_case cases[] = {
    {"text runs to NUL and beyond ASCII", text_runs_to_nul_and_beyond_ascii},
    {"a JSON run ends at the first special byte", a_json_run_ends_at_the_first_special_byte},
    {"the first byte is found without SSE2, too", the_first_byte_is_found_without_sse2_too},
    {"a prefix is compared whole", a_prefix_is_compared_whole},
};

TEST_MAIN(cases)
