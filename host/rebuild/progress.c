#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

static int64_t progress_pace_us(const struct progress *progress) {
    return progress->terminal ? 1000000 : 5000000;
}

void progress_start(struct progress *progress, const char *what) {
    *progress = (struct progress){.what = what, .terminal = isatty(STDERR_FILENO) == 1};
    progress->started_us = clock_monotonic_us();
    progress->next_us = progress->started_us + progress_pace_us(progress);
}

static void progress_say(struct progress *progress, int64_t done, int64_t total, int64_t now_us) {
    double seconds = (double)(now_us - progress->started_us) / 1e6;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    long left_s = rate > 0 && total > done ? (long)((double)(total - done) / rate) : 0;
    fprintf(stderr, "%s%s: %" PRId64 " of %" PRId64 " events, %.0f/s, %ld:%02ld left%s",
            progress->terminal ? "\r\033[K" : "", progress->what, done, total, rate, left_s / 60,
            left_s % 60, progress->terminal ? "" : "\n");
}

void progress_tell(struct progress *progress, int64_t done, int64_t total) {
    int64_t now_us = clock_monotonic_us();
    if (now_us >= progress->next_us) {
        progress_say(progress, done, total, now_us);
        progress->next_us = now_us + progress_pace_us(progress);
    }
}

void progress_end(struct progress *progress, int64_t done, int64_t total) {
    progress_say(progress, done, total, clock_monotonic_us());
    if (progress->terminal) {
        fputc('\n', stderr);
    }
}
