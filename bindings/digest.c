#include "digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

bool digest_sha256(struct slice bytes, uint8_t out[DIGEST_BYTES]) {
    unsigned len = 0;
    return EVP_Digest(bytes.data, bytes.len, out, &len, EVP_sha256(), NULL) == 1 &&
           len == DIGEST_BYTES;
}

bool digest_equal(const uint8_t a[DIGEST_BYTES], const uint8_t b[DIGEST_BYTES]) {
    return CRYPTO_memcmp(a, b, DIGEST_BYTES) == 0;
}
