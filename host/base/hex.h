/* hex: hexadecimal digits, of either case. */
#ifndef AGG_HOST_BASE_HEX_H
#define AGG_HOST_BASE_HEX_H

/* The digit's value, or -1. */
static inline int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the two digits at `at` stand for, or -1. Reads both only where the first is one. */
static inline int hex_byte(const char *at) {
    int high = hex_digit(at[0]);
    int low = high < 0 ? -1 : hex_digit(at[1]);
    return low < 0 ? -1 : high << 4 | low;
}

#endif
