/* under_way: the reloads that are being built, which may take minutes. Guarded by whoever holds
 * it. */
#ifndef AGG_HOST_RELOAD_UNDER_WAY_H
#define AGG_HOST_RELOAD_UNDER_WAY_H

#include <stdint.h>

#include "../base/buffer.h"
#include "../base/err.h"

/* A slow one, and one that mends what it is about to bring. */
#define UNDER_WAY_MAX 2

struct under_way {
    struct under_way_item {
        const char *step; /* NULL: free */
        int64_t since_us; /* Unix */
    } items[UNDER_WAY_MAX];
};

/* Its place, for under_way_end; NULL with an error: too many are. */
struct under_way_item *under_way_begin(struct under_way *under_way, struct err *err);
void under_way_end(struct under_way_item *item);
/* Appends a JSON list. */
void under_way_list(const struct under_way *under_way, struct buffer *json);

#endif
