/* message_differences: compares what the two sides would publish, from the outboxes and marks of
 * their schemas. Two messages are the same if their identity is. One thread. */
#pragma once

#include "base/buffer.h"
#include "view/sql_session.h"

struct message_differences {
    int64_t count;     /* each identity once */
    int64_t differing; /* of these: only on one side, or with other content */
    int64_t newly_failing, no_longer_failing, failing; /* keys of reactions; the last: on both */
    struct buffer sources, failures;                   /* JSON list elements */
};

/* After the reactions of both sides. False: message_differences_free is still to be called. */
bool message_differences_find(struct message_differences *differences, struct sql_session *session,
                              struct err *err);
/* Appends members of a JSON object. */
void message_differences_append(const struct message_differences *differences, struct buffer *json);
void message_differences_free(struct message_differences *differences);
