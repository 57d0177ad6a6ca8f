/* traceparent: the header by which services hand a trace on (W3C Trace Context, level 1):
 * version-traceid-parentid-flags in lower-case hexadecimal. Pure. */
#ifndef AGG_HOST_BASE_TRACEPARENT_H
#define AGG_HOST_BASE_TRACEPARENT_H

#include "slice.h"

#define TRACEPARENT_LEN 55

/* The 55 bytes that the header has of its trace, borrowed from it; absent where it is no
 * traceparent: another length, upper case, version ff, ids of zeros alone. A later version may have
 * more behind a dash, which is left out. */
struct slice traceparent_read(struct slice header);

/* Of what traceparent_read returned: the id of the trace; absent of an absent one. */
struct slice traceparent_trace_id(struct slice traceparent);
/* The caller records the trace. */
bool traceparent_is_sampled(struct slice traceparent);
/* Writes it, with NUL, in version 00, in which it is passed on; "" of an absent one. */
void traceparent_format(struct slice traceparent, char text[TRACEPARENT_LEN + 1]);

#endif
