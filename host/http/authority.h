/* authority: checks the host and port of a request (RFC 3986 3.2). Pure. */
#pragma once

#include "base/slice.h"

/* True for `host [ ":" port ]`: a name, an IPv4 address, or an IPv6 address in brackets; a port is
 * at most 65535. User information and zone identifiers are invalid: an http URI has none. */
bool authority_is_valid(struct slice text);
