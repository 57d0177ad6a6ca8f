/* merge: merges the rows of one batch in memory by the declared rules. One owner thread.
 *
 * The merges and messages of an event are staged until merge_accept, so that a handler that raises
 * has no effect. Accepted merges are kept by event, so that a batch that Postgres rejects can be
 * bisected: merge_select rebuilds the rows from a range of events. */
#pragma once

#include "base/arena.h"
#include "outbox/outbox.h"
#include "view.h"

struct merge_version {
    int64_t at_us;
    uint8_t event_id[16];
};

/* A merge into one group of one row. */
struct merge_op {
    const struct view_value *key; /* key_count values; merge_stage computes a CONTENT key */
    size_t table;
    size_t group;
    const struct view_value *values; /* column_count values */
};

/* The key is complete. */
struct merge_accepted {
    struct merge_op op;
    struct merge_version version;
    size_t event;
};

struct merge;

struct merge *merge_create(const struct view *view);
void merge_destroy(struct merge *merge);
/* Empties it for the next batch, which may have another view. */
void merge_reset(struct merge *merge, const struct view *view);

/* Memory of all events since merge_reset, discarded ones included; an upper estimate: each
 * operation counts as a row of its own. */
size_t merge_bytes(const struct merge *merge);
size_t merge_staged_bytes(const struct merge *merge); /* of the current event */

/* For copies of scripts' values; valid until merge_reset. */
struct arena *merge_arena(struct merge *merge);

void merge_stage(struct merge *merge, const struct merge_op *op, struct merge_version version);
/* The index-th staged operation, its key complete; false past the last. */
bool merge_staged(const struct merge *merge, size_t index, struct merge_op *op,
                  struct merge_version *version);
/* Removes the staged operations that `leaves` chooses. Returns the number of those that stay. */
size_t merge_unstage(struct merge *merge,
                     bool (*leaves)(void *context, const struct merge_op *op,
                                    struct merge_version version),
                     void *context);
void merge_discard(struct merge *merge);              /* the staged operations */
void merge_accept(struct merge *merge, size_t event); /* merges the staged ones into the rows */
/* Removes the accepted operations of the chosen events; their tags stay. Call merge_select next. */
void merge_forget(struct merge *merge, bool (*forgets)(void *context, size_t event), void *context);
/* Rebuilds the rows from the accepted events in [first, last). */
void merge_select(struct merge *merge, size_t first, size_t last);

struct merge_set;
struct merge_group_value {
    bool present;
    struct merge_version version;
    union {
        const struct view_value *values;
        struct merge_set *set; /* of the rules set and count: its first member is the value */
    };
    size_t event; /* the winner; of a set the last one that added to it */
};
struct merge_row {
    const struct view_value *key;
    struct merge_group_value *groups; /* group_count */
    uint64_t prefix;                  /* the first bytes of the key: decides nearly every compare */
};
/* Rows of a table sorted by key, sets with their items in order; valid until the next change. */
struct merge_row *const *merge_rows(struct merge *merge, size_t table, size_t *count);

/* Sets merged[e] for each event with an accepted operation, winners[e] if one of its operations is
 * in the rows, or added to a set. Both have room for every event. */
void merge_winners(const struct merge *merge, bool *merged, bool *winners);

/* The surrogate keys ("tags" for scripts) that the batch invalidates: hash64 of each text, UUID and
 * number in a key (view_is_tag) or from merge_add_tag, without duplicates. Nothing may be staged.
 * Valid until the next change. */
const uint64_t *merge_tags(struct merge *merge, size_t *count);
void merge_add_tag(struct merge *merge, struct slice id); /* staged with the event */

/* Stages a message of the event; its texts are in merge_arena. */
void merge_publish(struct merge *merge, const struct outbox_message *message);
/* Sets the trace of the staged messages; copies the header. */
void merge_trace(struct merge *merge, struct slice traceparent);
/* The messages of the selected events, in order; valid until the next change. */
const struct outbox_message *merge_messages(const struct merge *merge, size_t *count);
const struct outbox_message *merge_staged_messages(const struct merge *merge, size_t *count);

size_t merge_op_count(const struct merge *merge); /* accepted */
size_t merge_staged_count(const struct merge *merge);
/* The accepted operations, in order; valid until the next change. */
const struct merge_accepted *merge_accepted_ops(const struct merge *merge, size_t *count);
int merge_version_compare(const struct merge_version *a, const struct merge_version *b);
bool merge_value_less(enum view_type type, const struct view_value *a, const struct view_value *b);
