/* view_draft: the DDL of what the view declares and the database lacks: a draft of a migration. */
#pragma once

#include "base/buffer.h"
#include "view.h"

struct pg;

/* Appends CREATE TABLE for each missing table, ALTER TABLE … ADD COLUMN for missing columns, a
 * comment for each column of another type, and before each statement a line `-- undo: ` with the
 * one that takes it back (migrate.h). Nothing: the database has all. False: a query failed. */
bool view_draft_append(struct pg *pg, const struct view *view, int timeout_ms, struct buffer *sql,
                       struct err *err);
