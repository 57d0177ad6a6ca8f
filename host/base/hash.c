#include "hash.h"

#include <xxhash.h>

uint64_t hash64(struct slice bytes) {
    return XXH3_64bits(bytes.data, bytes.len);
}

uint64_t hash64_seeded(struct slice bytes, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.data, bytes.len, seed);
}

void hash128(struct slice bytes, uint8_t out[16]) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data, bytes.len));
    memcpy(out, canonical.digest, 16);
}
