/* fault: named points at which a test kills or freezes the process. Compiled only with -DFAULTS=ON.
 *
 *     AGGREGATOR_FAULT=NAME:COUNT:ACTION   acts at the COUNT-th passing of NAME
 *
 * KILL and STOP raise the signal. HANG blocks the thread until a writer opens the FIFO named by
 * AGGREGATOR_FAULT_FIFO. MISS makes FAULT_MISSES(NAME) true. */
#pragma once

#ifdef FAULTS
#include <stdbool.h>

bool fault_misses(const char *name);
#define FAULT_MISSES(name) fault_misses(name)
void fault_point(const char *name);
#define FAULT_POINT(name) fault_point(name)
#else
#define FAULT_MISSES(name) false
#define FAULT_POINT(name) ((void)0)
#endif
