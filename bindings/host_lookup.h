/* host_lookup: the addresses of a host name within a deadline. getaddrinfo has none: a name service
 * that does not answer holds it for seconds or minutes. So it runs on a thread of its own, which
 * callers leave behind at their deadlines. Any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HOST_ADDRESS_CAP 64  /* an IPv6 address with its interface, and NUL */
#define HOST_LOOKUPS_MOST 64 /* threads; then no further lookup starts */

struct host_addresses {
    char (*items)[HOST_ADDRESS_CAP]; /* numeric, in the order of getaddrinfo */
    size_t count;
};

/* True: at least one address; the caller frees them. A numeric host needs no lookup. False:
 * ERR_TIMEOUT (no answer by the deadline) or ERR_UNAVAILABLE; the error names the host. */
bool host_lookup(const char *host, int64_t deadline_us, struct host_addresses *found,
                 struct err *err);
void host_addresses_free(struct host_addresses *found);
