/* problems: what is wrong with a set of files, all of it at once: a bounded list of sentences, each
 * with file and line. One thread. */
#ifndef AGG_HOST_BASE_PROBLEMS_H
#define AGG_HOST_BASE_PROBLEMS_H

#include <stddef.h>

#include "err.h"

#define PROBLEMS_MAX 64 /* kept; further ones are counted */

struct problem {
    char *file; /* owned; "" where the text names its place itself */
    int line;
    char *text; /* owned */
};
struct problems { /* begin: {0} */
    struct problem items[PROBLEMS_MAX];
    size_t count; /* kept, without repetitions */
    size_t found; /* kept or not */
};

void problems_add(struct problems *problems, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void problems_free(struct problems *problems);
/* True: there are none. False: ERR_INPUT, with a line for each in order of file and line, as many
 * as fit; a last line counts the others. */
bool problems_report(struct problems *problems, struct err *err);

#endif
