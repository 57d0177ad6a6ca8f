/* show: an event as its handler sees it, and what it asked of the view. Values are exact, and
 * spelled as in JSON, for people (show_text.c) and for programs (show_json.c): times and ids as
 * text, lists as lists, what is not there as null. */
#ifndef AGG_HOST_AUTHOR_SHOW_H
#define AGG_HOST_AUTHOR_SHOW_H

#include "pipeline/dry_run.h"

/* "applied", "ignored", "rejected". */
const char *show_outcome_name(const struct dry_run_outcome *outcome);
/* Fields that scripts do not see are passed over, and those of a rejected event that are not there:
 * they may be what was wrong. */
bool show_has_field(const struct dry_run_outcome *outcome, size_t field);

/* ---- show_value.c --------------------------------------------------------------------------- */

void show_field_value(struct buffer *out, const struct extract_field *field,
                      const struct extract_value *value);
void show_column_value(struct buffer *out, enum view_type type, const struct view_value *value);

/* ---- show_text.c ---------------------------------------------------------------------------- */

/* Indented lines: ids and times, why it was rejected, fields, merges. */
void show_event(struct buffer *out, const struct dry_run_outcome *outcome);
/* What is published. Nothing where nothing is. */
void show_messages(struct buffer *out, const struct outbox_message *messages, size_t count);
/* Every row that would be written, group by group. */
void show_rows(struct buffer *out, const struct view *view, struct merge *merge);
/* Which reactions would be asked for which keys. Nothing where none would. */
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

#endif
