/* number: decimals of doubles. */
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

#endif
