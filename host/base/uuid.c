#include "uuid.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/random.h>

#include "hex.h"

static void strip(struct slice *text, const char *prefix) {
    size_t len = strlen(prefix);
    if (text->len >= len && strncasecmp(text->data, prefix, len) == 0) {
        text->data += len;
        text->len -= len;
    }
}

bool uuid_parse(struct slice text, uint8_t out[16]) {
    size_t digits = 0;
    strip(&text, "urn:");
    strip(&text, "uuid:");
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
    static const char hex[] = "0123456789abcdef";
    char *at = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *at++ = '-';
        }
        *at++ = hex[uuid[i] >> 4];
        *at++ = hex[uuid[i] & 15];
    }
    *at = '\0';
}

void uuid_generate_v4(uint8_t out[16]) {
    if (getrandom(out, 16, 0) != 16) {
        abort(); /* cannot happen for 16 bytes once the kernel has started (getrandom(2)) */
    }
    out[6] = (uint8_t)((out[6] & 0x0F) | 0x40);
    out[8] = (uint8_t)((out[8] & 0x3F) | 0x80);
}

static bool uuid_sha1(const uint8_t space[16], struct slice name, uint8_t digest[20]) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context && EVP_DigestInit_ex(context, EVP_sha1(), NULL) == 1 &&
              EVP_DigestUpdate(context, space, 16) == 1 &&
              EVP_DigestUpdate(context, name.data, name.len) == 1 &&
              EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    return ok;
}

bool uuid_generate_v5(const uint8_t space[16], struct slice name, uint8_t out[16]) {
    uint8_t digest[20];
    if (!uuid_sha1(space, name, digest)) {
        return false;
    }
    memcpy(out, digest, 16);
    out[6] = (uint8_t)((out[6] & 0x0F) | 0x50);
    out[8] = (uint8_t)((out[8] & 0x3F) | 0x80);
    return true;
}
