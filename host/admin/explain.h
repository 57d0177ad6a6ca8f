/* explain: GET /admin/explain/[WORD/]ID[?table=…][&since=…]: the output of `aggregator explain
 * --json`: reading the log may take long and much memory. */
#pragma once

#include "child.h"

int admin_explain(struct admin_child *explain, const struct admin_request *request,
                  struct buffer *json);
