/* explain: GET /admin/explain/[WORD/]ID[?table=…][&since=…]: the output of `aggregator explain
 * --json`. Runs one child process at a time: reading the log may take long and much memory. */
#ifndef AGG_HOST_ADMIN_EXPLAIN_H
#define AGG_HOST_ADMIN_EXPLAIN_H

#include <pthread.h>

#include "verb.h"

struct admin_explain {
    const char *config_path;
    int stop_fd; /* readable once the program stops */
    pthread_mutex_t busy;
};

int admin_explain(struct admin_explain *explain, const struct admin_request *request,
                  struct buffer *json);

#endif
