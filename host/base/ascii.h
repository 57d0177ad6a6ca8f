/* ascii: how far a text is plain, sixteen bytes at a time, by the vector types of GCC and Clang: a
 * comparison of two blocks has all bits of a byte set where it holds. */
#ifndef AGG_HOST_BASE_ASCII_H
#define AGG_HOST_BASE_ASCII_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Signed, so that what is above 0x7F is less than everything in ASCII. */
typedef signed char ascii_block __attribute__((vector_size(16)));

static inline ascii_block ascii_load(const char *text) {
    ascii_block block;
    memcpy(&block, text, sizeof block);
    return block;
}

/* The index of the first byte that is not 0, or 16. */
static inline size_t ascii_first(ascii_block flags) {
    uint64_t half[2];
    memcpy(half, &flags, sizeof half);
    if (half[0]) {
        return (size_t)__builtin_ctzll(le64toh(half[0])) / 8;
    }
    return half[1] ? 8 + (size_t)__builtin_ctzll(le64toh(half[1])) / 8 : 16;
}

/* Neither NUL nor above 0x7F. */
static inline bool ascii_is_text(unsigned char c) {
    return c != 0 && c < 0x80;
}

/* The bytes at the start of `text` that are ASCII and not NUL. */
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

/* What stands for itself in a JSON string. */
static inline bool ascii_is_json(unsigned char c) {
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The bytes at the start of `text` that are ASCII and stand for themselves in a JSON string. */
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

#endif
