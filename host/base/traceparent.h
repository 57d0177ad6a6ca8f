/* traceparent: the header that propagates a trace (W3C Trace Context, level 1):
 * version-traceid-parentid-flags in lower-case hexadecimal. Pure. */
#pragma once

#include "slice.h"

#define TRACEPARENT_LEN 55

/* The first 55 bytes of a valid header, borrowed; absent if it is invalid: wrong length, upper
 * case, version ff, an all-zero id. Fields that a later version appends are left out. */
struct slice traceparent_read(struct slice header);

/* The functions below take what traceparent_read returned; absent gives absent, false or "". */
struct slice traceparent_trace_id(struct slice traceparent);
/* True: the caller records the trace. */
bool traceparent_is_sampled(struct slice traceparent);
/* Writes it as version 00, with a NUL. */
void traceparent_format(struct slice traceparent, char text[TRACEPARENT_LEN + 1]);
