/* uuid: UUIDs as text and as 16 bytes (RFC 9562, section 4), by libuuid, which parses one spelling
 * only. Bytes sort as the canonical text does. Any thread. */
#pragma once

#include <stdint.h>

#include "slice.h"

#define UUID_TEXT_LEN 36

/* Accepts what Python's uuid.UUID accepts: hyphens anywhere, braces, "urn:uuid:", either case. */
bool uuid_read(struct slice text, uint8_t out[16]);
/* Canonical lower-case form and a NUL. */
void uuid_format(const uint8_t uuid[16], char out[UUID_TEXT_LEN + 1]);
/* A random version 4 UUID. */
void uuid_generate_v4(uint8_t out[16]);
/* The version 5 UUID of a name in a namespace (RFC 9562, section 5.5). */
void uuid_generate_v5(const uint8_t space[16], struct slice name, uint8_t out[16]);
