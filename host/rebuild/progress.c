#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/plural.h"

void progress_start(struct progress *progress, const char *what) {
    *progress = (struct progress){.what = what, .terminal = isatty(STDERR_FILENO) == 1};
    progress->started_us = clock_monotonic_us();
    progress->next_us = progress->started_us + (progress->terminal ? 1000000 : 5000000);
}

static void progress_print(struct progress *progress, const struct log_reader *reader,
                           int64_t now_us) {
    int64_t done, total;
    log_reader_count(reader, &done, &total);
    double seconds = (double)(now_us - progress->started_us) / 1e6;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    long left_s = rate > 0 && total > done ? (long)((double)(total - done) / rate) : 0;
    fprintf(stderr, "%s%s: %" PRId64 " of %" PRId64 " event%s, %.0f/s, %ld:%02ld left%s",
            progress->terminal ? "\r\033[K" : "", progress->what, done, total, plural_of(total),
            rate, left_s / 60, left_s % 60, progress->terminal ? "" : "\n");
}

void progress_update(struct progress *progress, const struct log_reader *reader) {
    int64_t now_us = clock_monotonic_us();
    if (now_us >= progress->next_us) {
        progress_print(progress, reader, now_us);
        progress->next_us = now_us + (progress->terminal ? 1000000 : 5000000);
    }
}

void progress_end(struct progress *progress, const struct log_reader *reader) {
    progress_print(progress, reader, clock_monotonic_us());
    if (progress->terminal) {
        fputc('\n', stderr);
    }
}
