/* which: the script that an author means. */
#ifndef AGG_HOST_AUTHOR_WHICH_H
#define AGG_HOST_AUTHOR_WHICH_H

#include <stddef.h>

#include "base/err.h"

/* Among `count` structs of `size` bytes that begin with the script's name ("handlers/x"): the index
 * of the one that `word` names, as "x", "handlers/x", or as a shell completes it,
 * "scripts/handlers/x.lua". -1: ERR_INPUT names the `kind` ("handler"), the nearest and all. */
int which_script(const char *kind, const char *word, const void *scripts, size_t count, size_t size,
                 struct err *err);

#endif
