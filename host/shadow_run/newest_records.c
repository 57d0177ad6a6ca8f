#include "newest_records.h"

static int64_t newest_records_length_of(const struct log_partition *partition) {
    return partition->high > partition->low ? partition->high - partition->low : 0;
}

/* How many are read where no partition gives more than `share`. */
static int64_t newest_records_total_of(const struct log_partition *partitions, size_t count,
                                       int64_t share) {
    int64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t length = newest_records_length_of(&partitions[i]);
        total += length < share ? length : share;
    }
    return total;
}

/* The largest that fits. */
static int64_t newest_records_find_share(const struct log_partition *partitions, size_t count,
                                         int64_t events) {
    int64_t fits = 0, too_large = events + 1;
    while (too_large - fits > 1) {
        int64_t middle = fits + (too_large - fits) / 2;
        if (newest_records_total_of(partitions, count, middle) <= events) {
            fits = middle;
        } else {
            too_large = middle;
        }
    }
    return fits;
}

void newest_records_start(struct log_partition *partitions, size_t count, int64_t events) {
    int64_t share = newest_records_find_share(partitions, count, events);
    int64_t left = events - newest_records_total_of(partitions, count, share);
    for (size_t i = 0; i < count; i++) {
        int64_t length = newest_records_length_of(&partitions[i]);
        int64_t taken = length < share ? length : share;
        if (length > taken && left > 0) {
            taken++;
            left--;
        }
        partitions[i].start = partitions[i].high - taken;
    }
}
