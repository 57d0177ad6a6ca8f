/* indexes: those that the deletes of a table's retention need. Without one each transaction of the
 * sweep reads a whole table. */
#pragma once

#include "base/buffer.h"
#include "view/sql_session.h"
#include "view/view.h"

/* The tables that a retention deletes from: 0 is its own, then those of `with`. */
#define INDEXES_MAX (VIEW_MAX_HANGING + 1)

/* missing[i]: the database has no index that begins with the column by which rows of that table are
 * found. A table that does not exist lacks one. */
bool indexes_find_missing(struct sql_session *session, const struct view_table *table,
                          bool missing[INDEXES_MAX], struct err *err);
/* Appends the statement that makes the index. */
void indexes_append_statement(struct buffer *out, const struct view_table *table, size_t at);
