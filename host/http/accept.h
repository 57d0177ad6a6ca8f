/* accept: quality values of Accept and Accept-Encoding (RFC 9110 12.4.2). Pure. */
#pragma once

#include "base/slice.h"

/* The quality of the item in the list, 0 to 1000, in any case; -1: it is not listed. Parameters
 * other than q are ignored; an item with a malformed q is not listed. */
int accept_quality(struct slice list, const char *item);
