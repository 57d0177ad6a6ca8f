/* ascii: length of the plain ASCII prefix of a text, 16 bytes at a time, with the vector types of
 * GCC and Clang: a comparison sets all bits of each byte for which it holds. */
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__ /* every x86-64 processor has it */
#include <emmintrin.h>
#endif

/* Signed: bytes above 0x7F compare less than every ASCII byte. */
typedef signed char ascii_block __attribute__((vector_size(16)));

static inline ascii_block ascii_load(const char *text) {
    ascii_block block;
    memcpy(&block, text, sizeof block);
    return block;
}

/* The index of the first byte that is not 0, or 16; for processors without SSE2. */
static inline size_t ascii_first_plain(ascii_block flags) {
    uint64_t half[2];
    memcpy(half, &flags, sizeof half);
    if (half[0]) {
        return (size_t)__builtin_ctzll(le64toh(half[0])) / 8;
    }
    return half[1] ? 8 + (size_t)__builtin_ctzll(le64toh(half[1])) / 8 : 16;
}

/* The index of the first byte whose bits are set, or 16. */
static inline size_t ascii_first(ascii_block flags) {
#ifdef __SSE2__
    unsigned bits = (unsigned)_mm_movemask_epi8((__m128i)flags);
    return bits ? (unsigned)__builtin_ctz(bits) : sizeof flags;
#else
    return ascii_first_plain(flags);
#endif
}

#define ASCII_PADDING sizeof(ascii_block) /* readable bytes behind a prefix */

/* The text begins with the prefix, which has ASCII_PADDING behind it. */
static inline bool ascii_starts_with(const char *text, size_t len, const char *prefix,
                                     size_t prefix_len) {
    if (len < prefix_len + ASCII_PADDING) { /* a block could end beyond the text */
        return len >= prefix_len && memcmp(text, prefix, prefix_len) == 0;
    }
    size_t at = 0;
    for (; prefix_len - at > sizeof(ascii_block); at += sizeof(ascii_block)) {
        if (ascii_first(ascii_load(text + at) != ascii_load(prefix + at)) < sizeof(ascii_block)) {
            return false;
        }
    }
    return ascii_first(ascii_load(text + at) != ascii_load(prefix + at)) >= prefix_len - at;
}

static inline bool ascii_is_text(unsigned char c) {
    return c != 0 && c < 0x80;
}

/* Length of the prefix of ASCII bytes other than NUL. */
static inline size_t ascii_text_run(const char *text, size_t len) {
    size_t at = 0;
    for (; len - at >= sizeof(ascii_block); at += sizeof(ascii_block)) {
        size_t first = ascii_first(ascii_load(text + at) < 1);
        if (first < sizeof(ascii_block)) {
            return at + first;
        }
    }
    while (at < len && ascii_is_text((unsigned char)text[at])) {
        at++;
    }
    return at;
}

/* A JSON string holds this byte unescaped. */
static inline bool ascii_is_json(unsigned char c) {
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Length of the prefix of ASCII bytes that a JSON string holds unescaped. */
static inline size_t ascii_json_run(const char *text, size_t len) {
    size_t at = 0;
    for (; len - at >= sizeof(ascii_block); at += sizeof(ascii_block)) {
        ascii_block block = ascii_load(text + at);
        size_t first = ascii_first((block < 0x20) | (block == '"') | (block == '\\'));
        if (first < sizeof(ascii_block)) {
            return at + first;
        }
    }
    while (at < len && ascii_is_json((unsigned char)text[at])) {
        at++;
    }
    return at;
}
