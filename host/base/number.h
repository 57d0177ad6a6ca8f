/* number: formats and parses decimals. */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "slice.h"

#define NUMBER_TEXT_CAP 32

/* Writes and returns the shortest decimal, in %g's form, that parses to the same double. */
static inline const char *number_format(double value, char text[NUMBER_TEXT_CAP]) {
    int precision = 15; /* 15 digits survive a double; 17 distinguish all doubles */
    do {
        snprintf(text, NUMBER_TEXT_CAP, "%.*g", precision, value);
    } while (strtod(text, NULL) != value && ++precision <= 17);
    return text;
}

#define NUMBER_DIGITS_MOST 20 /* of a size_t */

/* Writes the digits of a count before `end` and returns the first; for paths on which printf is
 * too slow. */
static inline char *number_put_before(char *end, size_t count) {
    do {
        *--end = (char)('0' + count % 10);
        count /= 10;
    } while (count > 0);
    return end;
}

/* The text is digits, with or without a minus, and fits. */
static inline bool number_parse_int64(struct slice text, int64_t *value) {
    char digits[24] = "";
    size_t sign = text.len > 0 && text.data[0] == '-';
    if (text.len == sign || text.len >= sizeof digits) {
        return false;
    }
    memcpy(digits, text.data, text.len);
    errno = 0;
    *value = strtoll(digits, NULL, 10);
    return errno == 0 && strspn(digits + sign, "0123456789") == text.len - sign;
}
