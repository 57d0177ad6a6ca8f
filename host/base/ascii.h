/* ascii: how far a text is plain, eight bytes at a time. A byte that a test on all eight at once
 * flags is the first that stops the run; those behind it may be flagged by its borrow (H. S.
 * Warren, Hacker's Delight, 2nd ed., 6-1). */
#ifndef AGG_HOST_BASE_ASCII_H
#define AGG_HOST_BASE_ASCII_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ASCII_EACH(byte) (0x0101010101010101ULL * (byte))
#define ASCII_HIGH_BITS ASCII_EACH(0x80ULL)

static inline uint64_t ascii_load(const char *text) {
    uint64_t word;
    memcpy(&word, text, sizeof word);
    return le64toh(word);
}

/* Neither NUL nor above 0x7F. */
static inline bool ascii_is_text(unsigned char c) {
    return c != 0 && c < 0x80;
}

/* The bytes at the start of `text` that are ASCII and not NUL. */
static inline size_t ascii_text_run(const char *text, size_t len) {
    size_t at = 0;
    for (; len - at >= 8; at += 8) {
        uint64_t word = ascii_load(text + at);
        uint64_t stop = ((word - ASCII_EACH(1)) | word) & ASCII_HIGH_BITS;
        if (stop) {
            return at + (size_t)__builtin_ctzll(stop) / 8;
        }
    }
    while (at < len && ascii_is_text((unsigned char)text[at])) {
        at++;
    }
    return at;
}

/* What stands for itself in a JSON string. */
static inline bool ascii_is_json(unsigned char c) {
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The bytes at the start of `text` that are ASCII and stand for themselves in a JSON string. */
static inline size_t ascii_json_run(const char *text, size_t len) {
    size_t at = 0;
    for (; len - at >= 8; at += 8) {
        uint64_t word = ascii_load(text + at);
        uint64_t quote = word ^ ASCII_EACH('"'), backslash = word ^ ASCII_EACH('\\');
        uint64_t stop = (word - ASCII_EACH(0x20)) | (quote - ASCII_EACH(1)) |
                        (backslash - ASCII_EACH(1)) | word;
        stop &= ASCII_HIGH_BITS;
        if (stop) {
            return at + (size_t)__builtin_ctzll(stop) / 8;
        }
    }
    while (at < len && ascii_is_json((unsigned char)text[at])) {
        at++;
    }
    return at;
}

#endif
