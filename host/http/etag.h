/* etag: comparing entity tags. Pure. */
#ifndef AGG_HOST_HTTP_ETAG_H
#define AGG_HOST_HTTP_ETAG_H

#include "base/slice.h"

/* If-None-Match (RFC 9110 13.1.2): true when the list holds the entity tag (weak comparison: a W/
 * prefix is of no matter) or is `*`. A malformed list holds nothing from the fault on. */
bool etag_listed(struct slice list, const char *etag);

#endif
