#include "folders.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool folders_make(const char *path, mode_t mode, size_t *made, struct err *err) {
    char folder[4096];
    size_t first = 0;
    bool ok = true;
    for (const char *slash = strchr(path + 1, '/'); ok && slash; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        if (mkdir(folder, mode) == 0) {
            first = first > 0 ? first : (size_t)(slash - path);
        } else if (errno != EEXIST) {
            ok =
                err_set(err, ERR_INPUT, "cannot create the folder %s: %s", folder, strerror(errno));
        }
    }
    if (made) {
        *made = first;
    }
    return ok;
}

void folders_remove(const char *path, size_t made) {
    char folder[4096];
    size_t len = made > 0 ? strlen(path) : 0;
    while (len > made) {
        len--;
        if (path[len] == '/') {
            snprintf(folder, sizeof folder, "%.*s", (int)len, path);
            if (rmdir(folder) != 0) {
                return;
            }
        }
    }
}
