/* predecessor: the process that this one takes over from, of which `aggregator upgrade` started it.
 */
#pragma once

#include "channel.h"

/* Takes the sockets and the channel over from the environment. Once, before any thread starts. */
void predecessor_meet(void);
/* True: there is one, and it has not been left. */
bool predecessor_exists(void);
/* It reaches Kafka: this process does not take over unless it does, too. */
bool predecessor_consumes(void);
bool predecessor_tell(const char *word, const char *text);
/* Tells that this process cannot start, if there is a predecessor. */
void predecessor_fail(const char *reason);
/* Waits for a message. CHANNEL_GONE also without a predecessor. */
enum channel_result predecessor_await(int stop_fd, int timeout_ms);
void predecessor_leave(void);
