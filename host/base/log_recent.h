/* log_recent: the newest warnings and errors of the log, for `aggregator status`. One line is kept
 * for each message, so that a frequent one does not displace the others. Any thread. */
#pragma once

#include "buffer.h"

#define LOG_RECENT_MESSAGES 16
#define LOG_RECENT_LINE_BYTES 2048

/* Keeps a copy of a line, a JSON object without secrets. A longer one is not kept. */
void log_recent_add(const char *message, struct slice line);
/* Appends the lines as a JSON list, the newest first; "count" is how many lines had the message. */
void log_recent_append(struct buffer *json);
