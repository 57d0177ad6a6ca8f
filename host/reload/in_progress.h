/* in_progress: the reloads under way, which may take minutes. The caller locks. */
#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"

/* A slow one, and one that corrects it. */
#define IN_PROGRESS_MAX 2

struct in_progress {
    struct in_progress_item {
        const char *step; /* NULL: free */
        int64_t since_us; /* Unix */
    } items[IN_PROGRESS_MAX];
};

/* NULL: err says that too many are under way. */
struct in_progress_item *in_progress_begin(struct in_progress *in_progress, struct err *err);
void in_progress_end(struct in_progress_item *item);
/* Appends a JSON list. */
void in_progress_list(const struct in_progress *in_progress, struct buffer *json);
