/* in_progress: the reloads that are being built, which may take minutes. Guarded by whoever holds
 * it. */
#ifndef AGG_HOST_RELOAD_IN_PROGRESS_H
#define AGG_HOST_RELOAD_IN_PROGRESS_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"

/* A slow one, and one that mends what it is about to bring. */
#define IN_PROGRESS_MAX 2

struct in_progress {
    struct in_progress_item {
        const char *step; /* NULL: free */
        int64_t since_us; /* Unix */
    } items[IN_PROGRESS_MAX];
};

/* Its place, for in_progress_end; NULL with an error: too many are. */
struct in_progress_item *in_progress_begin(struct in_progress *under_way, struct err *err);
void in_progress_end(struct in_progress_item *item);
/* Appends a JSON list. */
void in_progress_list(const struct in_progress *under_way, struct buffer *json);

#endif
