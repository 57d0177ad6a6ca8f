/* values: what header values mean. Pure. */
#ifndef AGG_HOST_HTTP_VALUES_H
#define AGG_HOST_HTTP_VALUES_H

#include "../base/slice.h"

#define CORRELATION_MAX_BYTES 128

/* If-None-Match (RFC 9110 13.1.2): true when the list holds the entity tag (weak comparison: a W/
 * prefix is of no matter) or is `*`. A malformed list holds nothing from the fault on. */
bool etag_listed(struct slice list, const char *etag);

/* True for 1 to 128 bytes of printable ASCII: fit to be sent back and to stand in a log line. */
bool correlation_id_acceptable(struct slice text);

#endif
