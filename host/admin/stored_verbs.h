/* stored_verbs: rejected events and messages of the outbox over HTTP, as `aggregator rejected` and
 * `aggregator outbox`. Their query:
 *
 *   topic, reason (events), key (messages)   which
 *   ids        up to STORED_IDS_MAX, with commas between them
 *   all=true   where none of these is given, for what changes something
 *   state, contains, limit, before, before_us   of lists (host/stored/) */
#pragma once

#include "verb.h"

#define STORED_IDS_MAX 200
#define STORED_LIMIT_MAX 1000
#define STORED_LIMIT 100

/* As admin_verb's answer. */
int stored_verbs_list_rejected(void *context, const struct admin_request *request,
                               struct buffer *json);
int stored_verbs_read_rejected(void *context, const struct admin_request *request,
                               struct buffer *json);
int stored_verbs_drop_rejected(void *context, const struct admin_request *request,
                               struct buffer *json);
/* By a child process with the scripts on the disk. */
int stored_verbs_retry_rejected(void *context, const struct admin_request *request,
                                struct buffer *json);
int stored_verbs_list_messages(void *context, const struct admin_request *request,
                               struct buffer *json);
int stored_verbs_read_message(void *context, const struct admin_request *request,
                              struct buffer *json);
int stored_verbs_retry_messages(void *context, const struct admin_request *request,
                                struct buffer *json);
int stored_verbs_drop_messages(void *context, const struct admin_request *request,
                               struct buffer *json);
