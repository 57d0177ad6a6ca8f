/* cached_response: a body with its status and ETag in one allocation. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/xalloc.h"
#include "cache.h"

struct cached_response *cached_response_create(int status, struct slice body) {
    struct cached_response *response = xcalloc(1, sizeof *response + body.len + 1);
    char *copy = (char *)(response + 1);
    if (body.len > 0) {
        memcpy(copy, body.data, body.len);
    }
    response->status = status;
    response->body = (struct slice){copy, body.len};
    response->refs = 1;
    response->hash = hash64(response->body);
    snprintf(response->etag, sizeof response->etag, "\"%016llx\"",
             (unsigned long long)response->hash);
    return response;
}

struct cached_response *cached_response_ref(struct cached_response *response) {
    __atomic_add_fetch(&response->refs, 1, __ATOMIC_RELAXED);
    return response;
}

void cached_response_unref(struct cached_response *response) {
    if (response && __atomic_sub_fetch(&response->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        free(response);
    }
}
