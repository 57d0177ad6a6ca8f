/* socket_line: a line of the Unix socket, cut into a verb and what stands behind it. Pure. */
#ifndef AGG_HOST_ADMIN_SOCKET_LINE_H
#define AGG_HOST_ADMIN_SOCKET_LINE_H

#include "script/script.h"

#define ADMIN_WORDS_MAX 8 /* of either kind */

/* Slices of the line. */
struct admin_words {
    struct slice verb;
    struct script_pair params[ADMIN_WORDS_MAX]; /* words */
    size_t param_count;
    struct script_pair query[ADMIN_WORDS_MAX]; /* words with a "=" */
    size_t query_count;
};

/* False: there are too many. */
bool admin_words_split(struct slice line, struct admin_words *words);

#endif
