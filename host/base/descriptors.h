/* descriptors: standard input, output and error are there before anything else is opened. One that
 * was closed by who started the process would be a database's socket, and a log line written into
 * it. */
#ifndef AGG_HOST_BASE_DESCRIPTORS_H
#define AGG_HOST_BASE_DESCRIPTORS_H

#include <stdbool.h>

/* Those that are closed are opened on /dev/null. False: errno says why. */
bool descriptors_reserve(void);

#endif
