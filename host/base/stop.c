#include "stop.h"

#include <stdatomic.h>
#include <sys/eventfd.h>

static int fd = -1;
static _Atomic bool requested;

bool stop_init(void) {
    if (fd < 0) {
        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    return fd >= 0;
}

int stop_fd(void) {
    return fd;
}

bool stop_requested(void) {
    return atomic_load(&requested);
}

void stop_request(void) {
    atomic_store(&requested, true);
    if (fd >= 0) {
        eventfd_write(fd, 1);
    }
}
