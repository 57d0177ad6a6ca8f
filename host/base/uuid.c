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

bool uuid_read(struct slice text, uint8_t out[16]) {
    size_t digits = 0;
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
