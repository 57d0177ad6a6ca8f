/* figures: what the process did in the last hour, a sample every five seconds, for the console.
 * Prometheus keeps longer; this answers at once, also where no Prometheus reaches. */
#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"

#define FIGURES_INTERVAL_S 5
#define FIGURES_KEPT 720

struct figures;

/* Reads the metrics on a thread of its own. NULL: err. */
struct figures *figures_start(struct err *err);
void figures_stop(struct figures *figures); /* NULL is allowed */

/* Appends a JSON object with the samples after number `after`, oldest first: "last", the number of
 * the newest one, "at", its time, "interval_s", and in "series" a list for each figure, with null
 * where nothing was measured: *_per_s and *_s (latency) of the interval, others at its end. Any
 * thread. */
void figures_append(struct figures *figures, int64_t after, struct buffer *json);
/* Appends the newest sample: an object with a number or null for each figure; null: none yet. */
void figures_append_newest(struct figures *figures, struct buffer *json);
