/* recent_requests: whether requests need the database now, for what makes way for them. */
#pragma once

#include <stdbool.h>

/* A request begins that reaches the database. Any thread. */
void recent_requests_note(void);
/* One began within the last second. Any thread. */
bool recent_requests_any(void);
