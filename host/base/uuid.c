#include "uuid.h"

#include <stdlib.h>
#include <strings.h>
#include <sys/random.h>
#include <uuid/uuid.h>

#include "hex.h"

static void uuid_strip(struct slice *text, const char *prefix) {
    size_t len = strlen(prefix);
    if (text->len >= len && strncasecmp(text->data, prefix, len) == 0) {
        text->data += len;
        text->len -= len;
    }
}

/* The spelling that nearly all texts have, in either case. */
static bool uuid_read_canonical(const char *text, uint8_t out[16]) {
    static const unsigned char places[16] = {0,  2,  4,  6,  9,  11, 14, 16,
                                             19, 21, 24, 26, 28, 30, 32, 34};
    bool ok = text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-';
    for (size_t i = 0; i < 16; i++) {
        int byte = hex_byte(text + places[i]);
        ok = ok && byte >= 0;
        out[i] = (uint8_t)byte;
    }
    return ok;
}

bool uuid_read(struct slice text, uint8_t out[16]) {
    size_t digits = 0;
    if (text.len == UUID_TEXT_LEN && uuid_read_canonical(text.data, out)) {
        return true;
    }
    uuid_strip(&text, "urn:");
    uuid_strip(&text, "uuid:");
    while (text.len > 0 && (*text.data == '{' || *text.data == '}')) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && (text.data[text.len - 1] == '}' || text.data[text.len - 1] == '{')) {
        text.len--;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '-') {
            continue;
        }
        int digit = hex_digit(text.data[i]);
        if (digit < 0 || digits == 32) {
            return false;
        }
        uint8_t high = digits % 2 ? (uint8_t)(out[digits / 2] << 4) : 0;
        out[digits / 2] = (uint8_t)(high | digit);
        digits++;
    }
    return digits == 32;
}

void uuid_format(const uint8_t uuid[16], char out[UUID_TEXT_LEN + 1]) {
    uuid_unparse_lower(uuid, out);
}

void uuid_generate_v4(uint8_t out[16]) {
    /* uuid_generate_random seeds random() at each call: a sixth of the time of a cached response.
     */
    if (getrandom(out, 16, 0) != 16) {
        abort(); /* cannot fail for 16 bytes (getrandom(2)) */
    }
    out[6] = (uint8_t)((out[6] & 0x0F) | 0x40);
    out[8] = (uint8_t)((out[8] & 0x3F) | 0x80);
}

void uuid_generate_v5(const uint8_t space[16], struct slice name, uint8_t out[16]) {
    uuid_generate_sha1(out, space, name.data, name.len);
}
