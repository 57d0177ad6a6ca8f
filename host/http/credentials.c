#include "credentials.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/xalloc.h"

/* Values are compared padded with NUL bytes, which no header value holds: every comparison reads
 * the same number of bytes. */
#define CREDENTIAL_BYTES 256
#define CREDENTIAL_WORDS (CREDENTIAL_BYTES / sizeof(uint64_t))

struct credential {
    uint64_t words[CREDENTIAL_WORDS];
};

struct credentials {
    size_t count;
    struct credential items[];
};

/* NULL, or why no request can send the value. */
static const char *credentials_problem(const char *text) {
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
            return "holds a control character or an end of line, which no request can send: "
                   "separate entries with commas";
        }
    }
    /* Header fields come without outer blanks (RFC 9110 5.5). */
    return len >= CREDENTIAL_BYTES ? "is longer than 255 bytes"
           : len > 0 && (text[0] == ' ' || text[len - 1] == ' ')
               ? "begins or ends with a blank, which no request can send"
               : NULL;
}

struct credentials *credentials_create(const char *setting, const struct config_strings *list,
                                       struct err *err) {
    struct credentials *credentials =
        xcalloc(1, sizeof *credentials + list->count * sizeof *credentials->items);
    for (size_t i = 0; i < list->count; i++) {
        const char *text = list->items[i], *problem = credentials_problem(text);
        if (problem) {
            err_set(err, ERR_INPUT, "%s: entry %zu %s", setting, i + 1, problem);
            credentials_destroy(credentials);
            return NULL;
        }
        if (text[0]) {
            memcpy(credentials->items[credentials->count++].words, text, strlen(text));
        }
    }
    return credentials;
}

bool credentials_are_none(const struct credentials *credentials) {
    return credentials->count == 0;
}

void credentials_destroy(struct credentials *credentials) {
    if (credentials) {
        explicit_bzero(credentials->items, credentials->count * sizeof *credentials->items);
        free(credentials);
    }
}

/* Compares with every value, each to its end. */
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
        __asm__("" : "+r"(different)); /* keeps the compiler from ending the loop early */
        found |= different == 0;
    }
    explicit_bzero(&padded, sizeof padded);
    return fits & found;
}

bool credentials_include_all(const struct credentials *credentials,
                             const struct credentials *others) {
    for (size_t i = 0; i < others->count; i++) {
        const char *text = (const char *)others->items[i].words;
        if (!credentials_include(credentials, slice_of(text))) {
            return false;
        }
    }
    return true;
}
