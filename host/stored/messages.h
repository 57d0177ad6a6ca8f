/* messages: the statements on messages of the outbox. Each begins with the parameters of choice.h;
 * the second one is the key. An id is a number. */
#pragma once

/* What a message's state may be; NULL ends them. */
extern const char *const messages_states[];
#define MESSAGES_STATES_TEXT "pending, sent, settled or failed"

/* The newest first: id, created_at (UTC), state, topic, key, identity, error, attempts, source. $4
 * state or NULL; $5 number of rows; $6 the id that they follow, or NULL; $7 a text that key,
 * identity, source or error contains, or NULL. */
extern const char messages_list_sql[];
/* topic, state, count. $4: states, as "pending or failed". */
extern const char messages_count_sql[];
/* Ids of $3 that do not exist. */
extern const char messages_missing_sql[];
/* All columns; the value as text. */
extern const char messages_show_sql[];
/* The same without the value, with its `bytes` and its beginning in base64, `value_base64`. */
extern const char messages_read_sql[];
/* The topics of the newest 10,000, separated by commas; "": there is no message. */
extern const char messages_topics_sql[];
/* Makes failed ones pending. */
extern const char messages_retry_sql[];
/* Settles pending and failed ones. */
extern const char messages_drop_sql[];
