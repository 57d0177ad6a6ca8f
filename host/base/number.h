/* number: formats decimals. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

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
