/* number: decimals. */
#ifndef AGG_HOST_BASE_NUMBER_H
#define AGG_HOST_BASE_NUMBER_H

#include <stdio.h>
#include <stdlib.h>

#define NUMBER_TEXT_CAP 32

/* The shortest decimal that reads back as the same double, as %g writes it. Returns text. */
static inline const char *number_format(double value, char text[NUMBER_TEXT_CAP]) {
    int precision = 15; /* a decimal of so many digits survives a double; 17 tell all apart */
    do {
        snprintf(text, NUMBER_TEXT_CAP, "%.*g", precision, value);
    } while (strtod(text, NULL) != value && ++precision <= 17);
    return text;
}

#define NUMBER_DIGITS_MOST 20 /* of a size_t */

/* Writes the digits of a count in front of `end`, where printf would take too long. Returns the
 * first of them. */
static inline char *number_put_before(char *end, size_t count) {
    do {
        *--end = (char)('0' + count % 10);
        count /= 10;
    } while (count > 0);
    return end;
}

#endif
