/* etag: compares entity tags. Pure. */
#pragma once

#include "base/slice.h"

/* If-None-Match (RFC 9110 13.1.2): true when the list has the entity tag (weak comparison: a W/
 * prefix is ignored) or is `*`. A malformed list ends at its first error. */
bool etag_listed(struct slice list, const char *etag);
