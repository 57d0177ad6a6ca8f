/* cached_response: a body with its status and ETag in one allocation, and its gzip form in another.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/xalloc.h"
#include "bindings/gzip.h"
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
    response->made_us = clock_monotonic_us();
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
        free(atomic_load_explicit(&response->gzip, memory_order_relaxed));
        free(response);
    }
}

/* ---- gzip --------------------------------------------------------------------------------- */

struct cached_gzip {
    size_t len; /* 0: not shorter than the body */
    char bytes[];
};

static struct cached_gzip *cached_response_compress(const struct cached_response *response) {
    struct buffer bytes = {0};
    bool shorter = gzip_append(&bytes, response->body) && bytes.len < response->body.len;
    struct cached_gzip *gzip = xcalloc(1, sizeof *gzip + (shorter ? bytes.len : 0));
    if (shorter) {
        gzip->len = bytes.len;
        memcpy(gzip->bytes, bytes.data, bytes.len);
    }
    buffer_free(&bytes);
    return gzip;
}

bool cached_response_is_gzipped(const struct cached_response *response) {
    return atomic_load_explicit(&response->gzip, memory_order_acquire) != NULL;
}

struct slice cached_response_gzip(struct cached_response *response) {
    struct cached_gzip *gzip = atomic_load_explicit(&response->gzip, memory_order_acquire);
    if (!gzip) {
        struct cached_gzip *made = cached_response_compress(response);
        if (atomic_compare_exchange_strong(&response->gzip, &gzip, made)) {
            gzip = made;
        } else { /* another thread was faster */
            free(made);
        }
    }
    return gzip->len > 0 ? (struct slice){gzip->bytes, gzip->len} : (struct slice){0};
}
