/* xalloc: allocation of small objects. Out of memory aborts the process: offsets are in Postgres,
 * so a restart loses nothing, and no caller checks for NULL. */
#pragma once

#include <stddef.h>

void *xcalloc(size_t count, size_t bytes);
void *xrealloc(void *memory, size_t bytes);
/* Room for an item behind the `count` items of an array that grows one by one. The room doubles
 * whenever `count` is a power of two, so no member has to hold it. Not for arrays that are emptied
 * and filled again: they would shrink and grow each time. */
void *xgrow(void *items, size_t count, size_t item_bytes);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t len);
