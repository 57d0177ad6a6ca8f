/* stop: the stop request of the process. Long waits poll stop_fd. Any thread. */
#pragma once

#include <stdbool.h>

/* Creates the descriptor, before any thread starts. False: see errno. */
bool stop_init(void);
/* Readable after stop_request; -1, which poll(2) ignores, without stop_init. */
int stop_fd(void);
bool stop_requested(void);
void stop_request(void); /* async-signal-safe */
