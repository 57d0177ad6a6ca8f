/* utf8: well-formed sequences (Unicode 15, table 3-7). */
#pragma once

#include <stddef.h>

/* Length (1 to 4) of the well-formed sequence at `text` of `len` > 0 bytes; 0: ill-formed
 * (overlong forms, surrogates and code points above U+10FFFF included). */
static inline size_t utf8_sequence(const char *text, size_t len) {
    const unsigned char *b = (const unsigned char *)text;
    if (b[0] < 0x80) {
        return 1;
    }
    size_t want = b[0] >= 0xF0 ? 4 : b[0] >= 0xE0 ? 3 : 2;
    if (b[0] < 0xC2 || b[0] > 0xF4 || len < want) {
        return 0;
    }
    unsigned low = b[0] == 0xE0 ? 0xA0 : b[0] == 0xF0 ? 0x90 : 0x80;
    unsigned high = b[0] == 0xED ? 0x9F : b[0] == 0xF4 ? 0x8F : 0xBF;
    if (b[1] < low || b[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < want; i++) {
        if ((b[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return want;
}

/* Length of the longest prefix of at most `max` bytes that splits no sequence. */
static inline size_t utf8_cut(const char *text, size_t len, size_t max) {
    if (len <= max) {
        return len;
    }
    size_t cut = max;
    while (cut > 0 && max - cut < 3 && (text[cut] & 0xC0) == 0x80) {
        cut--;
    }
    return cut;
}
