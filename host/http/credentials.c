#include "credentials.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/xalloc.h"

/* Values are compared as whole fields padded with NUL bytes, which no header value can hold: every
 * comparison reads the same number of bytes. */
#define CREDENTIAL_BYTES 256
#define CREDENTIAL_WORDS (CREDENTIAL_BYTES / sizeof(uint64_t))

struct credential {
    uint64_t words[CREDENTIAL_WORDS];
};

struct credentials {
    size_t count;
    struct credential items[];
};

static bool credentials_holds_control(const char *text) {
    while (*text && (unsigned char)*text >= 0x20 && *text != 0x7F) {
        text++;
    }
    return *text != '\0';
}

/* Header fields come without such blanks (RFC 9110 5.5). */
static bool credentials_has_outer_blank(const char *text) {
    size_t len = strlen(text);
    return len > 0 && (text[0] == ' ' || text[len - 1] == ' ');
}

bool credentials_are_none(const struct credentials *credentials) {
    return credentials->count == 0;
}

struct credentials *credentials_create(const char *setting, const struct config_strings *list,
                                       struct err *err) {
    struct credentials *credentials =
        xcalloc(1, sizeof *credentials + list->count * sizeof *credentials->items);
    for (size_t i = 0; i < list->count; i++) {
        size_t len = strlen(list->items[i]);
        if (len >= CREDENTIAL_BYTES) {
            err_set(err, ERR_INPUT, "%s: entry %zu is longer than %d bytes", setting, i + 1,
                    CREDENTIAL_BYTES - 1);
            credentials_destroy(credentials);
            return NULL;
        }
        if (credentials_holds_control(list->items[i])) {
            err_set(err, ERR_INPUT,
                    "%s: entry %zu holds a control character or an end of line, which no request "
                    "can send: say several entries with commas between them",
                    setting, i + 1);
            credentials_destroy(credentials);
            return NULL;
        }
        if (credentials_has_outer_blank(list->items[i])) {
            err_set(err, ERR_INPUT,
                    "%s: entry %zu begins or ends with a blank, which no request can send", setting,
                    i + 1);
            credentials_destroy(credentials);
            return NULL;
        }
        if (len > 0) {
            memcpy(credentials->items[credentials->count++].words, list->items[i], len);
        }
    }
    return credentials;
}

void credentials_destroy(struct credentials *credentials) {
    if (credentials) {
        explicit_bzero(credentials->items, credentials->count * sizeof *credentials->items);
        free(credentials);
    }
}

/* Every known value is compared, and each to its end. */
bool credentials_include(const struct credentials *credentials, struct slice given) {
    struct credential padded = {{0}};
    bool fits = given.len < CREDENTIAL_BYTES;
    if (given.data) {
        memcpy(padded.words, given.data, fits ? given.len : CREDENTIAL_BYTES);
    }
    unsigned found = 0;
    for (size_t i = 0; i < credentials->count; i++) {
        uint64_t different = 0;
        for (size_t w = 0; w < CREDENTIAL_WORDS; w++) {
            different |= padded.words[w] ^ credentials->items[i].words[w];
        }
        __asm__("" : "+r"(different)); /* the compiler may not reason about it: no early end */
        found |= different == 0;
    }
    explicit_bzero(&padded, sizeof padded);
    return fits & found;
}
