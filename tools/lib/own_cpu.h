/* own_cpu: what the measuring tools have taken of the processors. */
#ifndef AGG_TOOLS_OWN_CPU_H
#define AGG_TOOLS_OWN_CPU_H

#include <sys/resource.h>

/* Microseconds of this process so far, the kernel's for it too; 0 where that cannot be told. */
static inline double own_cpu_us(void) {
    struct rusage usage = {0};
    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        return 0;
    }
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

#endif
