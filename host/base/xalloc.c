#include "xalloc.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *xalloc_checked(void *memory) {
    if (!memory) {
        fputs("aggregator: out of memory\n", stderr);
        abort();
    }
    return memory;
}

void *xcalloc(size_t count, size_t bytes) {
    return xalloc_checked(calloc(count ? count : 1, bytes ? bytes : 1));
}

void *xrealloc(void *memory, size_t bytes) {
    return xalloc_checked(realloc(memory, bytes ? bytes : 1));
}

void *xgrow(void *items, size_t count, size_t item_bytes) {
    bool full = (count & (count - 1)) == 0;
    return full ? xrealloc(items, (count ? 2 * count : 1) * item_bytes) : items;
}

char *xstrdup(const char *text) {
    return xalloc_checked(strdup(text));
}

char *xstrndup(const char *text, size_t len) {
    return xalloc_checked(strndup(text, len));
}
