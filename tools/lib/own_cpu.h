/* own_cpu: CPU time of a measuring tool. */
#pragma once

#include <sys/resource.h>

/* User and system time of this process so far, in microseconds; 0 if unavailable. */
static inline double own_cpu_us(void) {
    struct rusage usage = {0};
    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        return 0;
    }
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}
