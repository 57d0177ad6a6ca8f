/* answer: a body with its status and ETag in one allocation. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/xalloc.h"
#include "cache.h"

struct answer *answer_create(int status, struct slice body) {
    struct answer *answer = xcalloc(1, sizeof *answer + body.len + 1);
    char *copy = (char *)(answer + 1);
    if (body.len > 0) {
        memcpy(copy, body.data, body.len);
    }
    answer->status = status;
    answer->body = (struct slice){copy, body.len};
    answer->refs = 1;
    answer->hash = hash64(answer->body);
    snprintf(answer->etag, sizeof answer->etag, "\"%016llx\"", (unsigned long long)answer->hash);
    return answer;
}

struct answer *answer_ref(struct answer *answer) {
    __atomic_add_fetch(&answer->refs, 1, __ATOMIC_RELAXED);
    return answer;
}

void answer_unref(struct answer *answer) {
    if (answer && __atomic_sub_fetch(&answer->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        free(answer);
    }
}
