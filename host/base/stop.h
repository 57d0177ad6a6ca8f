/* stop: whether the process was asked to end. One fact for the whole process, as signals are; what
 * waits for long looks at it. Any thread. */
#ifndef AGG_HOST_BASE_STOP_H
#define AGG_HOST_BASE_STOP_H

#include <stdbool.h>

/* Makes the descriptor, before there are threads. False: errno says why. */
bool stop_init(void);
/* Readable once the process was asked to end; -1, which poll(2) passes over, without stop_init. */
int stop_fd(void);
bool stop_requested(void);
/* Also in signal context. */
void stop_request(void);

#endif
