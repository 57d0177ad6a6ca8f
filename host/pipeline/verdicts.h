/* verdicts: the breaker's judgement of a batch's events. Whoever has to know whether the breaker
 * opens asks here: while a batch is handled, before its commit, and while it is bisected. The
 * pipeline's thread. */
#ifndef AGG_HOST_PIPELINE_VERDICTS_H
#define AGG_HOST_PIPELINE_VERDICTS_H

#include "batch.h"

/* While the batch is handled: judges its events up to `last`. The events of handlers for which the
 * breaker opens are left out of the batch, and their topics wait. */
void verdicts_leave_out(struct pipeline *pipeline, struct batch *batch, size_t last);
/* Once its transaction has begun: judges its events up to `last`. False, with ERR_UNAVAILABLE and
 * transaction.opened_breaker set, where the breaker opens: the batch must not be committed. */
bool verdicts_permit(struct pipeline *pipeline, struct batch *batch, size_t last, struct err *err);
/* After the commit: the batch's verdicts count from now on. */
void verdicts_enter(struct pipeline *pipeline, const struct batch *batch);

#endif
