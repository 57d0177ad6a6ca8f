#include "auth.h"

#include <stdint.h>
#include <stdlib.h>

#include "../xalloc.h"

/* Values are compared as whole fields padded with NUL bytes, which no header value can hold: every
 * comparison reads the same number of bytes. */
#define CREDENTIAL_BYTES 256
#define CREDENTIAL_WORDS (CREDENTIAL_BYTES / sizeof(uint64_t))

struct credential {
    uint64_t words[CREDENTIAL_WORDS];
};

struct credentials {
    struct credential *items;
    size_t count;
};

struct auth {
    struct credentials keys;
    struct credentials services;
};

static bool copy(struct credentials *to, const struct config_strings *from, const char *what,
                 struct err *err) {
    to->items = xcalloc(from->count + 1, sizeof *to->items);
    for (size_t i = 0; i < from->count; i++) {
        size_t len = strlen(from->items[i]);
        if (len >= CREDENTIAL_BYTES) {
            return err_set(err, ERR_INPUT, "http.%s: entry %zu is longer than %d bytes", what,
                           i + 1, CREDENTIAL_BYTES - 1);
        }
        if (len > 0) { /* an empty one must not let anybody in */
            memcpy(to->items[to->count++].words, from->items[i], len);
        }
    }
    return true;
}

struct auth *auth_create(const struct config *config, struct err *err) {
    struct auth *auth = xcalloc(1, sizeof *auth);
    if (!copy(&auth->keys, &config->http.api_keys, "api_keys", err) ||
        !copy(&auth->services, &config->http.allowed_services, "allowed_services", err)) {
        auth_destroy(auth);
        return NULL;
    }
    return auth;
}

static void forget(struct credentials *credentials) {
    if (credentials->items) {
        explicit_bzero(credentials->items, credentials->count * sizeof *credentials->items);
    }
    free(credentials->items);
}

void auth_destroy(struct auth *auth) {
    if (!auth) {
        return;
    }
    forget(&auth->keys);
    forget(&auth->services);
    free(auth);
}

/* Every known value is compared, and each to its end. */
static bool is_known(const struct credentials *known, struct slice given) {
    struct credential padded = {{0}};
    bool fits = given.len < CREDENTIAL_BYTES;
    memcpy(padded.words, given.data, fits ? given.len : CREDENTIAL_BYTES);
    unsigned found = 0;
    for (size_t i = 0; i < known->count; i++) {
        uint64_t different = 0;
        for (size_t w = 0; w < CREDENTIAL_WORDS; w++) {
            different |= padded.words[w] ^ known->items[i].words[w];
        }
        __asm__("" : "+r"(different)); /* the compiler may not reason about it: no early end */
        found |= different == 0;
    }
    explicit_bzero(&padded, sizeof padded);
    return fits & found;
}

const char *auth_refusal(const struct auth *auth, struct slice key, struct slice service_id) {
    if (key.len == 0 || service_id.len == 0) {
        return "Missing authentication";
    }
    bool key_ok = is_known(&auth->keys, key);
    bool service_ok = is_known(&auth->services, service_id);
    return key_ok && service_ok ? NULL : "Invalid credentials";
}
