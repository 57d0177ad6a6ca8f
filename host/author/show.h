/* show: an event as its handler gets it, and what the handler asked of the view, as text
 * (show_text.c) and as JSON (show_json.c). Values are exact and spelled as in JSON: times and ids
 * as text, missing ones as null. */
#pragma once

#include "pipeline/dry_run.h"

/* "applied", "ignored", "expired", "rejected". */
const char *show_outcome_name(const struct dry_run_outcome *outcome);
/* False for fields that scripts do not get, and for missing fields of a rejected event, which may
 * be the cause. */
bool show_has_field(const struct dry_run_outcome *outcome, size_t field);

/* ---- show_touches.c ------------------------------------------------------------------------- */

/* Ids whose cached responses the event drops: each once, in order of their bytes. */
struct show_touches {
    struct arena *arena;
    struct slice *ids;
    size_t count, capacity;
};
void show_touches_read(struct show_touches *touches, const struct dry_run_outcome *outcome);
void show_touches_free(struct show_touches *touches);

/* ---- show_value.c --------------------------------------------------------------------------- */

void show_field_value(struct buffer *out, const struct extract_field *field,
                      const struct extract_value *value);
void show_column_value(struct buffer *out, enum view_type type, const struct view_value *value);

/* ---- show_text.c ---------------------------------------------------------------------------- */

/* Appends a text whose further lines (a traceback) are indented. */
void show_lines(struct buffer *out, struct slice text);
/* Writes and empties the buffer. False: standard output cannot be written. */
bool show_write(struct buffer *out, struct err *err);
/* Indented lines: ids and times, the reason of a rejection, fields, merges. */
void show_event(struct buffer *out, const struct dry_run_outcome *outcome);
/* The published messages, if any. */
void show_messages(struct buffer *out, const struct outbox_message *messages, size_t count);
/* Each row that would be written, group by group. */
void show_rows(struct buffer *out, const struct view *view, struct merge *merge);
/* Which reactions would run for which keys, if any. */
void show_asked(struct buffer *out, const struct script_generation *generation,
                struct batch *batch);
/* The statements that would write them. */
void show_statements(struct buffer *out, const struct view *view, struct merge *merge);

/* ---- show_json.c ---------------------------------------------------------------------------- */

/* The same as members of an object that the caller opened. */
void show_event_json(struct buffer *json, const struct dry_run_outcome *outcome);
void show_messages_json(struct buffer *json, const struct outbox_message *messages, size_t count);
void show_rows_json(struct buffer *json, const struct view *view, struct merge *merge);
void show_asked_json(struct buffer *json, const struct script_generation *generation,
                     struct batch *batch);
void show_statements_json(struct buffer *json, const struct view *view, struct merge *merge);
