/* messages: how what the two sides of a canary would publish differs, read from the outboxes and
 * the marks of their schemas. Messages are the same where their identity is. One thread. */
#ifndef AGG_HOST_CANARY_MESSAGES_H
#define AGG_HOST_CANARY_MESSAGES_H

#include "base/buffer.h"
#include "view/sql_session.h"

struct messages {
    int64_t count;     /* of either side, each identity once */
    int64_t differing; /* of these, those of one side alone or with other contents */
    int64_t newly_failing, no_longer_failing, failing; /* keys of reactions; the last: on both */
    struct buffer sources, failures;                   /* elements of JSON lists */
};

/* Both sides' reactions have answered. False: messages_free is still to be called. */
bool messages_compare(struct messages *messages, struct sql_session *session, struct err *err);
/* Appends the members of a JSON object. */
void messages_append(const struct messages *messages, struct buffer *json);
void messages_free(struct messages *messages);

#endif
