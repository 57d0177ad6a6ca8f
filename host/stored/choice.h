/* choice: which rejected events or messages of the outbox a command or verb is for. */
#pragma once

#include "view/sql_session.h"

struct choice {
    struct slice topic;  /* data NULL: any; likewise second */
    struct slice second; /* the reason of rejected events, the key of messages */
    const struct slice *ids;
    size_t id_count; /* 0: any */
};

/* Starts the parameters of a statement: $1 topic, $2 second, $3 ids; NULL: any. */
void choice_fill(const struct choice *choice, struct pg_params *params);
/* data NULL: NULL. */
void choice_add_text(struct pg_params *params, struct slice text);

/* Runs a statement with the session's parameters; appends its rows as a JSON list of objects. */
bool choice_append_json(struct sql_session *session, const char *sql, struct buffer *json,
                        struct err *err);
