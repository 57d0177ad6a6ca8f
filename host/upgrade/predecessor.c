#include "predecessor.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "bindings/service_manager.h"
#include "successor.h"

static int channel = -1;
static bool consumes;

void predecessor_meet(void) {
    service_manager_receive_sockets();
    channel = service_manager_take_socket(SUCCESSOR_CHANNEL_NAME);
    consumes = channel >= 0 && getenv(SUCCESSOR_NEEDS_NAME);
    unsetenv(SUCCESSOR_NEEDS_NAME);
}

bool predecessor_consumes(void) {
    return consumes;
}

bool predecessor_exists(void) {
    return channel >= 0;
}

bool predecessor_tell(const char *word, const char *text) {
    return channel >= 0 && channel_send(channel, word, text);
}

void predecessor_fail(const char *reason) {
    (void)predecessor_tell(CHANNEL_FAILED, reason);
}

enum channel_result predecessor_await(int stop_fd, int timeout_ms) {
    struct channel_message message;
    int64_t deadline_us = clock_monotonic_us() + timeout_ms * 1000LL;
    return channel < 0 ? CHANNEL_GONE : channel_receive(channel, stop_fd, deadline_us, &message);
}

void predecessor_leave(void) {
    if (channel >= 0) {
        close(channel);
        channel = -1;
    }
}
