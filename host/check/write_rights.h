/* write_rights: whether the role of a process that ingests may write the tables of the view. */
#pragma once

#include "script/script.h"
#include "view/sql_session.h"

/* False, ERR_INPUT: names each table with the rights that the role lacks: INSERT and UPDATE, and
 * DELETE where a retention removes rows. */
bool write_rights_check(struct sql_session *session, const struct script_generation *generation,
                        struct err *err);
