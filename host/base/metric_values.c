/* metric_values: what cells count. Any thread, without a lock. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "metrics_private.h"

/* Prometheus' default buckets, which the platform's dashboards query, and finer ones below. */
static const double bounds[] = {.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .075,
                                .1,    .25,    .5,    .75,  1,     2.5,  5,   7.5,  10};
#define BOUND_COUNT (sizeof bounds / sizeof *bounds)
_Static_assert(METRIC_BUCKETS == BOUND_COUNT + 1, "one bucket is above all bounds");

double metrics_to_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t metric_values_to_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

void metric_add(struct metric_cell *cell, double amount) {
    uint64_t held = atomic_load_explicit(&cell->value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        &cell->value, &held, metric_values_to_bits(metrics_to_double(held) + amount),
        memory_order_relaxed, memory_order_relaxed)) {
    }
}

void metric_set(struct metric_cell *cell, double value) {
    atomic_store_explicit(&cell->value, metric_values_to_bits(value), memory_order_relaxed);
}

void metric_observe(struct metric_cell *cell, double value) {
    size_t bucket = 0;
    while (bucket < BOUND_COUNT && value > bounds[bucket]) {
        bucket++;
    }
    atomic_fetch_add_explicit(&cell->buckets[bucket], 1, memory_order_relaxed);
    metric_add(cell, value);
}

static uint64_t metric_values_observations(const struct metric_cell *cell) {
    uint64_t count = 0;
    for (size_t i = 0; i <= BOUND_COUNT; i++) {
        count += atomic_load_explicit(&cell->buckets[i], memory_order_relaxed);
    }
    return count;
}

double metric_value(const struct metric_cell *cell) {
    return cell->type == METRIC_HISTOGRAM
               ? (double)metric_values_observations(cell)
               : metrics_to_double(atomic_load_explicit(&cell->value, memory_order_relaxed));
}

const char *metric_labels(const struct metric_cell *cell) {
    return cell->labels;
}

void metric_add_buckets(const struct metric_cell *cell, uint64_t counts[METRIC_BUCKETS]) {
    for (size_t i = 0; i < METRIC_BUCKETS; i++) {
        counts[i] += atomic_load_explicit(&cell->buckets[i], memory_order_relaxed);
    }
}

double metric_bound(size_t bucket) {
    return bucket < BOUND_COUNT ? bounds[bucket] : INFINITY;
}
