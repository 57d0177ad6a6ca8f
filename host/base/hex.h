/* hex: hexadecimal digits in either case. */
#pragma once

/* The digit's value + 1; 0: not a digit. A table: the digits of an id defeat branch prediction. */
static const unsigned char hex_values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

/* The digit's value, or -1. */
static inline int hex_digit(char c) {
    return hex_values[(unsigned char)c] - 1;
}

/* The value of the two digits at `at`, or -1. Reads the second only after a valid first. */
static inline int hex_byte(const char *at) {
    int high = hex_digit(at[0]);
    int low = high < 0 ? -1 : hex_digit(at[1]);
    return low < 0 ? -1 : high << 4 | low;
}
