/* verdicts: decides whether a batch's events open the breaker: while the batch is handled, before
 * its commit, and while it is bisected. The pipeline's thread. */
#pragma once

#include "batch.h"

/* While the batch is handled: judges its events before `last`. Removes the events of a handler
 * whose breaker opens; its topics wait. */
void verdicts_leave_out(struct pipeline *pipeline, struct batch *batch, size_t last);
/* In its transaction: judges its events before `last`. False, with ERR_UNAVAILABLE and
 * transaction.opened_breaker: the breaker opened, and the batch must not be committed. */
bool verdicts_permit(struct pipeline *pipeline, struct batch *batch, size_t last, struct err *err);
/* After the commit: enters the verdicts, and counts and logs the rejected events. */
void verdicts_enter(struct pipeline *pipeline, const struct batch *batch);
