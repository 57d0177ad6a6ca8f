#include "fault.h"

#ifdef FAULTS
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fault_hang(void) {
    const char *fifo = getenv("AGGREGATOR_FAULT_FIFO");
    int fd = fifo ? open(fifo, O_RDONLY | O_CLOEXEC) : -1; /* waits for a writer */
    if (fd >= 0) {
        close(fd);
    }
}

#define SIGNAL_BYTES 8

/* True if AGGREGATOR_FAULT names this passing of this point; sets the signal. */
static bool fault_is_due(const char *name, char signal_name[SIGNAL_BYTES]) {
    static _Atomic long passed;
    char wanted[64];
    long count;
    const char *setting = getenv("AGGREGATOR_FAULT");
    if (!setting || sscanf(setting, "%63[^:]:%ld:%7s", wanted, &count, signal_name) != 3 ||
        strcmp(wanted, name) != 0 || atomic_fetch_add(&passed, 1) + 1 != count) {
        return false;
    }
    fprintf(stderr, "fault: %s at %s\n", signal_name, name);
    return true;
}

bool fault_misses(const char *name) {
    char signal_name[SIGNAL_BYTES];
    return fault_is_due(name, signal_name) && strcmp(signal_name, "MISS") == 0;
}

void fault_point(const char *name) {
    char signal_name[SIGNAL_BYTES];
    if (!fault_is_due(name, signal_name)) {
        return;
    }
    if (strcmp(signal_name, "HANG") == 0) {
        fault_hang();
    } else {
        raise(strcmp(signal_name, "STOP") == 0 ? SIGSTOP : SIGKILL);
    }
}
#else
typedef int fault_has_no_code; /* a translation unit must not be empty */
#endif
