/* authority: the host and port of a request, as RFC 3986 3.2 has them. Pure. */
#ifndef AGG_HOST_HTTP_AUTHORITY_H
#define AGG_HOST_HTTP_AUTHORITY_H

#include "base/slice.h"

/* True for `uri-host [ ":" port ]` with a host: a name, an IPv4 address, or an IPv6 or later one in
 * brackets; a port is at most 65535. User information and zone identifiers are refused: an http URI
 * has none. */
bool authority_is_valid(struct slice text);

#endif
