/* digest: SHA-256 and the comparison of secrets, by OpenSSL's libcrypto. Any thread. */
#pragma once

#include <stdint.h>

#include "base/slice.h"

#define DIGEST_BYTES 32

/* False: libcrypto refused (no memory, or a policy without SHA-256); out is undefined. */
bool digest_sha256(struct slice bytes, uint8_t out[DIGEST_BYTES]);

/* The time taken does not depend on the contents. */
bool digest_equal(const uint8_t a[DIGEST_BYTES], const uint8_t b[DIGEST_BYTES]);
