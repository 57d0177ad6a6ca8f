/* merge: rows of one batch, merged in memory by the declared rules. One owner thread.
 *
 * Merges of one event, and what it publishes, are staged and reach the rows only by merge_accept:
 * an event whose handler raises leaves nothing behind. Accepted merges are kept per event so that a
 * refused batch can be bisected (merge_select rebuilds the rows from a range of events). */
#ifndef AGG_HOST_VIEW_MERGE_H
#define AGG_HOST_VIEW_MERGE_H

#include "base/arena.h"
#include "outbox/outbox.h"
#include "view.h"

struct merge_version {
    int64_t at_us;
    uint8_t event_id[16];
};

/* Of one row in one group: values in the order of the group's columns. */
struct merge_op {
    const struct view_value *key; /* key_count values; a CONTENT key is filled in by merge_stage */
    size_t table;
    size_t group;
    const struct view_value *values; /* column_count values */
};

/* One that an accepted event asked for; its key is complete. */
struct merge_accepted {
    struct merge_op op;
    struct merge_version version;
    size_t event;
};

struct merge;

struct merge *merge_create(const struct view *view);
void merge_destroy(struct merge *merge);
/* Empties it for the next batch; the view may be another one from now on. */
void merge_reset(struct merge *merge, const struct view *view);

/* What the events since merge_reset take, those that were discarded too. An estimate from above: no
 * row is counted as shared. */
size_t merge_bytes(const struct merge *merge);
/* What the event under way takes of it. */
size_t merge_staged_bytes(const struct merge *merge);

/* Where scripts' values may be copied until merge_reset. */
struct arena *merge_arena(struct merge *merge);

void merge_stage(struct merge *merge, const struct merge_op *op, struct merge_version version);
/* The index-th staged operation, its key complete; false past the last. */
bool merge_staged(const struct merge *merge, size_t index, struct merge_op *op,
                  struct merge_version *version);
void merge_discard(struct merge *merge);              /* drops what is staged */
void merge_accept(struct merge *merge, size_t event); /* staged → rows, remembered under event */
/* Drops what the chosen events merged, for good; their tags stay. The rows are to be selected anew.
 */
void merge_forget(struct merge *merge, bool (*forgets)(void *context, size_t event), void *context);
/* Rows anew from the accepted events in [first, last). */
void merge_select(struct merge *merge, size_t first, size_t last);

struct merge_group_value {
    bool present;
    struct merge_version version;
    const struct view_value *values;
    size_t event; /* whose operation won */
};
struct merge_row {
    const struct view_value *key;
    struct merge_group_value *groups; /* group_count */
    uint64_t prefix;                  /* the first bytes of the key, which nearly always decide */
};
/* Rows of a table sorted by key; valid until the next change. */
struct merge_row *const *merge_rows(struct merge *merge, size_t table, size_t *count);

/* Sets merged[e] for each event that merged anything, winners[e] for each of which an operation
 * stands in the rows. Both have room for every event. */
void merge_winners(const struct merge *merge, bool *merged, bool *winners);

/* hash64 of every id that accepted ops name (text keys, and what was added), once each: what the
 * cache must forget. Nothing is staged. Valid until the next change. */
const uint64_t *merge_tags(struct merge *merge, size_t *count);
void merge_add_tag(struct merge *merge, struct slice id); /* staged with the event */

/* A message that the event publishes, whose texts are in merge_arena: staged with the event. */
void merge_publish(struct merge *merge, const struct outbox_message *message);
/* Those that are staged belong to the trace; the header is copied. */
void merge_trace(struct merge *merge, struct slice traceparent);
/* The messages of the selected events, in order; valid until the next change. */
const struct outbox_message *merge_messages(const struct merge *merge, size_t *count);
/* Those that are staged. */
const struct outbox_message *merge_staged_messages(const struct merge *merge, size_t *count);

size_t merge_op_count(const struct merge *merge); /* accepted, for the merge ratio */
/* All that were accepted, in order; valid until the next change. */
const struct merge_accepted *merge_accepted_ops(const struct merge *merge, size_t *count);
int merge_version_compare(const struct merge_version *a, const struct merge_version *b);
bool merge_value_less(enum view_type type, const struct view_value *a, const struct view_value *b);

#endif
