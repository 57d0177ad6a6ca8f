#include "descriptors.h"

#include <fcntl.h>
#include <unistd.h>

/* open(2) returns the lowest free descriptor. A closed standard output fails as such: EBADF. */
bool descriptors_reserve(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        int flags = fd == STDOUT_FILENO ? O_RDONLY : O_RDWR;
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags) != fd) { /* kept by children */
            return false;
        }
    }
    return true;
}
