/* tap_verbs: live events over HTTP, by a child process `aggregator tap --json`. One tap at a time:
 * a new one replaces it. The newest events are kept, and polled for.
 *
 *   POST /admin/tap/start?topic=…&contains=…   begins; a tap ends by itself after five minutes
 *   GET /admin/tap?after=N                      the events behind number N
 *   POST /admin/tap/stop */
#pragma once

#include "base/err.h"
#include "verb.h"

#define TAP_EVENTS_KEPT 500
#define TAP_BYTES_KEPT (8 * 1024 * 1024)

struct admin_tap;

/* The path must outlive it. */
struct admin_tap *admin_tap_create(const char *config_path);
/* Ends the child. NULL is allowed. */
void admin_tap_destroy(struct admin_tap *tap);

/* As admin_verb's answer. */
int tap_verbs_start(void *context, const struct admin_request *request, struct buffer *json);
int tap_verbs_read(void *context, const struct admin_request *request, struct buffer *json);
int tap_verbs_stop(void *context, const struct admin_request *request, struct buffer *json);
