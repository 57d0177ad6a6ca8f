/* hash: XXH3 of bytes, for hash tables, surrogate keys and content keys. Not cryptographic. */
#pragma once

#include <stdint.h>

#include "slice.h"

uint64_t hash64(struct slice bytes);
uint64_t hash64_seeded(struct slice bytes, uint64_t seed);
/* 128 bits, big-endian canonical form of XXH3-128. */
void hash128(struct slice bytes, uint8_t out[16]);
