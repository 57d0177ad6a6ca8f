/* redis_command: writes commands in RESP. */
#pragma once

#include "base/buffer.h"
#include "base/slice.h"

/* Arguments are length-prefixed, so that they may have any byte. */
void redis_command_append(struct buffer *out, const struct slice *args, size_t count);
/* AUTH; user NULL or "": the default user. */
void redis_command_append_auth(struct buffer *out, const char *user, const char *password);
