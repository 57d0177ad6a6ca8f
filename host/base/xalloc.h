/* xalloc: allocation of small objects. Out of memory ends the process with a message: the log
 * position is safe in Postgres, so that a restart loses nothing and no caller needs a check. */
#ifndef AGG_HOST_BASE_XALLOC_H
#define AGG_HOST_BASE_XALLOC_H

#include <stddef.h>

void *xcalloc(size_t count, size_t bytes);
void *xrealloc(void *memory, size_t bytes);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t len);

#endif
