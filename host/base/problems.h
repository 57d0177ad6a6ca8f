/* problems: a bounded list of errors in a set of files, each with file and line. One thread. */
#pragma once

#include <stddef.h>

#include "err.h"

#define PROBLEMS_MAX 64 /* kept; further ones are counted */

struct problem {
    char *file; /* owned; "": the text names the place */
    int line;
    char *text; /* owned */
};
struct problems { /* begin: {0} */
    struct problem items[PROBLEMS_MAX];
    size_t count; /* kept, without duplicates */
    size_t found;
};

void problems_add(struct problems *problems, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void problems_free(struct problems *problems);
/* True: none. False: ERR_INPUT with one line each, sorted by file and line; a last line counts
 * those that did not fit. */
bool problems_report(struct problems *problems, struct err *err);
