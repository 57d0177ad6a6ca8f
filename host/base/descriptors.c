#include "descriptors.h"

#include <fcntl.h>
#include <unistd.h>

/* open(2) returns the lowest free descriptor. */
bool descriptors_reserve(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) { /* kept by children */
            return false;
        }
    }
    return true;
}
