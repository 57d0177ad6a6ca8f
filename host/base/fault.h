/* fault: named points, on the way from a batch to what is published of it, at which a test can end
 * or freeze the process. Compiled in only with -DFAULTS=ON; a release has none of it.
 *
 *     AGGREGATOR_FAULT=NAME:COUNT:SIGNAL   raises SIGNAL (KILL, STOP) at the COUNT-th passing of
 * NAME; instead of one, HANG keeps that thread until somebody opens the FIFO that
 * AGGREGATOR_FAULT_FIFO names for writing; MISS leaves out what FAULT_MISSES is asked about
 */
#ifndef AGG_HOST_BASE_FAULT_H
#define AGG_HOST_BASE_FAULT_H

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

#endif
